"""Write small data sets as their authors publish them: {path: bytes}. Each face is ``grey`` of another number."""

import io
from itertools import count

import numpy as np

from tests.data.sources import encode, grey

RAF_DB = ("surprise", "fear", "disgust", "happy", "sad", "angry", "neutral")  # 1 to 7
AFFECTNET = ("neutral", "happy", "sad", "surprise", "fear", "disgust", "angry", "contempt")  # 0 to 7
FERPLUS = ("neutral", "happy", "surprise", "sad", "angry", "disgust", "fear", "contempt")
LIST = "basic/EmoLabel/list_patition_label.txt"


def ck_plus(root="CK+48"):
    """CK+48: class folders without a split, the person in the name."""
    seeds = count()
    names = ("anger", "contempt", "disgust", "fear", "happy", "sadness", "surprise")
    return {
        f"{root}/{name}/S{person:03}_00{label}_0000001{frame}.png": encode(grey(next(seeds)))
        for label, name in enumerate(names)
        for person in (10, 11)
        for frame in (5, 6)
    }


def raf_db(*images):
    """RAF-DB with two training faces and one test face a class; ``images`` are aligned, original or both."""
    files, lines = {}, []
    for split, faces in (("train", 2), ("test", 1)):
        for number in range(7 * faces):
            stem = f"{split}_{number + 1:05}"
            lines.append(f"{stem}.jpg {number % 7 + 1}")
            for image in images:
                suffix = "_aligned" if image == "aligned" else ""
                files[f"basic/Image/{image}/{stem}{suffix}.jpg"] = encode(grey(number), "JPEG", quality=95)
    return files | {LIST: "\n".join(lines).encode()}


def annotation(number):
    file = io.BytesIO()
    np.save(file, np.array(str(number)))
    return file.getvalue()


def affectnet():
    """AffectNet's folders: two training faces and one validation face a class, and one without an expression."""
    files = {}
    for folder, faces in (("train_set", 2), ("val_set", 1)):
        for number in range(8 * faces):
            files[f"{folder}/images/{number}.jpg"] = encode(grey(number), "JPEG", quality=95)
            files[f"{folder}/annotations/{number}_exp.npy"] = annotation(number % 8)
            files[f"{folder}/annotations/{number}_val.npy"] = annotation(0.5)
    files["train_set/images/99.jpg"] = encode(grey(99), "JPEG")
    return files | {"train_set/annotations/99_exp.npy": annotation(10)}


def affectnet_lists():
    """AffectNet's lists; that of the validation faces has no header."""
    files = {}
    for table, faces in (("training", 2), ("validation", 1)):
        lines = ["subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,expression,valence"]
        for number in range(8 * faces):
            lines.append(f"{number % 3}/{table}{number}.jpg,1,1,40,40,1;2;3,{number % 8},0.5")
            files[f"Manually_Annotated_Images/{number % 3}/{table}{number}.jpg"] = encode(grey(number), "JPEG")
        lines.append(f"9/none.jpg,1,1,40,40,1;2;3,{9 if faces == 1 else 8},-2")
        header = 1 if table == "validation" else 0
        files[f"Manually_Annotated_file_lists/{table}.csv"] = "\n".join(lines[header:]).encode()
    return files


def ferplus():
    """FER+'s folders: two faces a class and part; one more has no majority, one is no face."""
    files, number = {}, count()
    for folder in ("FER2013Train", "FER2013Valid", "FER2013Test"):
        rows = []
        winners = [np.eye(10, dtype=int)[number % 8] * 10 for number in range(16)]
        for votes in (*winners, [5, 5] + [0] * 8, [0] * 9 + [10]):
            file = f"fer{next(number):07}.png"
            rows.append(f'{file},"(0, 0, 48, 48)",{",".join(map(str, votes))}')
            files[f"{folder}/{file}"] = encode(grey(len(files)))
        files[f"{folder}/label.csv"] = "\n".join(rows).encode()
    return files
