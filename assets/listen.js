// Hear what other parts of the page say; a part that left the page stops listening.
const listen = (name, act) => {
  const heard = event => {
    if (!element.isConnected) window.removeEventListener(name, heard);
    else act(event.detail);
  };
  window.addEventListener(name, heard);
};
