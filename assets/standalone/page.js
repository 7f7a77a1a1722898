// The panels of the app, mounted without it: the same scripts on the runs that the file holds.
document.body.classList.toggle('dark', window.matchMedia('(prefers-color-scheme: dark)').matches);
const runs = JSON.parse(document.getElementById('runs').textContent);
document.querySelectorAll('.lab-panels > div').forEach((element, index) =>
  mountPanel(element, { value: runs[index], number: index + 1 }, () => {}));
mountPlayback(document.getElementById('playback'));
