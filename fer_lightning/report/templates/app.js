// A photo that is chosen, dropped or taken by the camera goes to this page's own server; its answer is shown.
const [answer, file, drop, video, shot, camera] =
  ["answer", "file", "drop", "video", "shot", "camera"].map(name => document.getElementById(name));
const say = (words, kind) => {
  const line = document.createElement("p");
  line.className = kind;
  line.textContent = words;
  answer.replaceChildren(line);
};
let asked = 0;  // of several photos the last one's answer stays
const ask = async photo => {
  if (!photo) return;
  if (photo.size > Number(drop.dataset.most))  // told here, as a server that stops reading looks like a lost one
    return say(`the photo is larger than ${Number(drop.dataset.most).toLocaleString("en")} bytes: give a smaller one`, "alarm");
  const own = ++asked;
  say("looking at the photo …", "soft");
  try {
    const reply = await fetch("photo", { method: "POST", body: photo, headers: { "Content-Type": "application/octet-stream" } });
    const text = await reply.text();
    if (own !== asked) return;
    if (reply.ok) answer.innerHTML = text; else say(text, "alarm");
  } catch {
    if (own === asked) say("no answer: has the command in the terminal ended?", "alarm");
  }
};
file.addEventListener("change", () => { ask(file.files[0]); file.value = ""; });
for (const kind of ["dragover", "dragleave", "drop"])
  addEventListener(kind, event => { event.preventDefault(); drop.classList.toggle("over", kind === "dragover"); });
addEventListener("drop", event => ask(event.dataTransfer.files[0]));
addEventListener("paste", event => ask(event.clipboardData.files[0]));
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
    return say(`the camera cannot be used: ${error.message}`, "alarm");
  }
  video.hidden = false;
  camera.textContent = "Close the camera";
});
video.addEventListener("loadeddata", () => { shot.hidden = false; });  // before there is no picture to take
shot.addEventListener("click", () => {
  const still = document.createElement("canvas");
  [still.width, still.height] = [video.videoWidth, video.videoHeight];
  still.getContext("2d").drawImage(video, 0, 0);
  still.toBlob(ask, "image/png");
});
