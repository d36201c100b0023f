"use strict";
// All clips show the same frame: the edit leads, the others are put right where they drift.
(() => {
  for (const button of document.querySelectorAll("button.copy")) {
    if (!navigator.clipboard) continue;
    button.hidden = false;
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(document.getElementById(button.dataset.of).textContent);
        button.textContent = "Copied";
      } catch {
        button.textContent = "Select and copy it by hand";
      }
    });
  }

  const player = document.getElementById("player");
  if (!player) return;
  const shown = [...player.querySelectorAll(".clips video")];
  const leader = shown[shown.length - 1];
  const clips = [...shown];
  const starts = JSON.parse(document.getElementById("times").textContent);
  const last = starts.length - 2; // The end of the last frame is there as well.

  const compare = document.getElementById("compare");
  if (compare) {
    const split = compare.querySelector(".split");
    const under = compare.querySelector(".under");
    const over = compare.querySelector(".over");
    const left = compare.querySelector("select");
    const range = compare.querySelector("input");
    const choose = () => {
      under.src = shown.find((clip) => clip.dataset.role === left.value).src;
      under.addEventListener("loadeddata", () => { under.currentTime = leader.currentTime; follow(under); }, { once: true });
    };
    const divide = (percent) => {
      range.value = percent;
      split.style.setProperty("--at", `${range.value}%`);
    };
    over.src = leader.src;
    clips.push(under, over);
    left.addEventListener("change", choose);
    range.addEventListener("input", () => divide(range.value));
    const drag = (event) => {
      if (event.type === "pointermove" && event.pointerType === "mouse" && !event.buttons) return;
      const box = split.getBoundingClientRect();
      divide((100 * (event.clientX - box.left)) / box.width);
    };
    split.addEventListener("pointerdown", drag);
    split.addEventListener("pointermove", drag);
    choose();
    compare.hidden = false;
  }

  if (last === 0) return;

  const controls = player.querySelector(".controls");
  const play = controls.querySelector(".play");
  const seek = controls.querySelector("input");
  const where = controls.querySelector(".where");
  controls.hidden = false;
  // One set of controls for all.
  for (const clip of shown) clip.controls = false;

  const frameAt = (time) => {
    let frame = 0;
    while (frame < last && starts[frame + 1] <= time + 1e-4) frame += 1;
    return frame;
  };
  const show = () => {
    const frame = frameAt(leader.currentTime);
    seek.value = frame;
    const text = `Frame ${frame + 1} of ${last + 1}`;
    if (where.textContent !== text) where.textContent = text;
    seek.setAttribute("aria-valuetext", text);
  };
  const go = (frame) => {
    const wanted = Math.min(Math.max(frame, 0), last);
    // The middle of a frame is that frame in every browser.
    for (const clip of clips) clip.currentTime = (starts[wanted] + starts[wanted + 1]) / 2;
  };
  function follow(clip) {
    if (leader.paused) clip.pause();
    else clip.play().catch(() => {});
  }
  const pause = () => {
    leader.pause();
    for (const clip of clips) clip.pause();
  };
  const start = () => {
    leader.play().then(() => clips.forEach(follow)).catch(() => {});
  };
  const label = () => { play.textContent = leader.paused ? "Play" : "Pause"; };

  play.addEventListener("click", () => (leader.paused ? start() : pause()));
  controls.querySelector(".back").addEventListener("click", () => { pause(); go(frameAt(leader.currentTime) - 1); });
  controls.querySelector(".forth").addEventListener("click", () => { pause(); go(frameAt(leader.currentTime) + 1); });
  seek.addEventListener("input", () => { pause(); go(Number(seek.value)); });
  controls.querySelector(".speed").addEventListener("change", (event) => {
    for (const clip of clips) clip.playbackRate = Number(event.target.value);
  });
  leader.addEventListener("play", label);
  leader.addEventListener("pause", label);
  leader.addEventListener("timeupdate", show);
  leader.addEventListener("seeked", show);
  const together = () => {
    if (!leader.paused) {
      show();
      for (const clip of clips) {
        if (clip !== leader && !clip.seeking && Math.abs(clip.currentTime - leader.currentTime) > 0.06) {
          clip.currentTime = leader.currentTime;
        }
      }
    }
    requestAnimationFrame(together);
  };
  requestAnimationFrame(together);
  if (!matchMedia("(prefers-reduced-motion: reduce)").matches) start();
})();
