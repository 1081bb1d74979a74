// Sends a chosen, dropped, pasted or taken photo to the server of this page and shows the answer.
const [answer, file, drop, video, shot, camera] =
  ["answer", "file", "drop", "video", "shot", "camera"].map(name => document.getElementById(name));
const showLine = (text, kind) => {
  const line = document.createElement("p");
  line.className = kind;
  line.textContent = text;
  answer.replaceChildren(line);
};
let latest = 0;  // number of the last photo: answers to earlier photos are not shown
const send = async photo => {
  if (!photo) return;
  if (photo.size > Number(drop.dataset.most))  // checked here: a server that stops reading looks like a lost server
    return showLine(`the photo is larger than ${Number(drop.dataset.most).toLocaleString("en")} bytes: give a smaller one`, "alarm");
  const number = ++latest;
  showLine("looking at the photo …", "soft");
  try {
    const reply = await fetch("photo", { method: "POST", body: photo, headers: { "Content-Type": "application/octet-stream" } });
    const text = await reply.text();
    if (number !== latest) return;
    if (reply.ok) answer.innerHTML = text; else showLine(text, "alarm");
  } catch {
    if (number === latest) showLine("no answer: has the command in the terminal ended?", "alarm");
  }
};
file.addEventListener("change", () => { send(file.files[0]); file.value = ""; });
for (const kind of ["dragover", "dragleave", "drop"])
  addEventListener(kind, event => { event.preventDefault(); drop.classList.toggle("over", kind === "dragover"); });
addEventListener("drop", event => send(event.dataTransfer.files[0]));
addEventListener("paste", event => send(event.clipboardData.files[0]));
const close = () => {
  for (const track of video.srcObject?.getTracks() ?? []) track.stop();
  video.srcObject = null;
  video.hidden = shot.hidden = true;
  camera.textContent = "Open the camera";
};
camera.addEventListener("click", async () => {
  if (video.srcObject) return close();
  try {
    video.srcObject = await navigator.mediaDevices.getUserMedia({ video: true });
  } catch (error) {
    return showLine(`the camera cannot be used: ${error.message}`, "alarm");
  }
  video.hidden = false;
  camera.textContent = "Close the camera";
});
video.addEventListener("loadeddata", () => { shot.hidden = false; });  // without data there is nothing to take
shot.addEventListener("click", () => {
  const still = document.createElement("canvas");
  [still.width, still.height] = [video.videoWidth, video.videoHeight];
  still.getContext("2d").drawImage(video, 0, 0);
  still.toBlob(send, "image/png");
});
