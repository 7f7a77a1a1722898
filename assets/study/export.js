// Fetches the points of the picture as a file and saves it; returns the line of status.
async (value, suffix) => {
  const root = window.gradio_config?.root || '';
  const { task, case: name } = document.querySelector('#study .lab-study').dataset;
  const place = [value.key || 'none', task, name, suffix].map(encodeURIComponent).join('/');
  let response = null;
  try {
    response = await fetch(`${root}/lab/study/${place}`);
  } catch {
    return '✕ The server cannot be reached; the picture stays as it is';
  }
  if (!response.ok) return `✕ ${(await response.text()).slice(0, 500)}`;
  const file = /filename="([^"]+)"/.exec(response.headers.get('content-disposition'))[1];
  const link = document.createElement('a');
  link.href = URL.createObjectURL(await response.blob());
  link.download = file;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  return `Exported ${file}`;
}
