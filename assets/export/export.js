// Fetches the runs of the panels as a file and saves it; returns the line of status.
const exportRuns = async suffix => {
  const run = [...document.querySelectorAll('.lab-panel')].map(panel => panel.dataset.run || 'idle')
    .find(name => !name.startsWith('idle'));
  const root = window.gradio_config?.root || '';
  let response = null;
  try {
    response = await fetch(`${root}/lab/export/${run}/${suffix}`);
  } catch {
    return '✕ The server cannot be reached; the panels stay as they are';
  }
  if (!response.ok) return `✕ ${(await response.text()).slice(0, 500)}`;
  const name = /filename="([^"]+)"/.exec(response.headers.get('content-disposition'))[1];
  const link = document.createElement('a');
  link.href = URL.createObjectURL(await response.blob());
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  return `Exported ${name}`;
}
