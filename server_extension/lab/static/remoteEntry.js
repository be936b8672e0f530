// A plugin of JupyterLab, small enough to be written as Lab loads it: a notification when this server's time runs out.
(() => {
  const SCHEMA = "urn:beamhub:time-left:1";
  const SOON = 30 * 60 * 1000; // milliseconds
  let scope;

  /** A module that Lab shares with its extensions. */
  async function shared(name) {
    const versions = Object.values(scope[name] ?? {});
    const used = versions.find((version) => version.loaded) ?? versions[0];
    return used ? (await used.get())() : undefined;
  }

  function sentence(endsAt) {
    const minutes = Math.max(0, Math.round((Date.parse(endsAt) - Date.now()) / 60000));
    const clock = new Date(endsAt).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hour12: false });
    return `Your server ends in ${minutes} ${minutes === 1 ? "minute" : "minutes"} (${clock}): save your work.`;
  }

  const plugin = {
    id: "@beamhub/session:time-left",
    description: "Says how much time the server has left, from 30 minutes before its end.",
    autoStart: true,
    // Lab's start does not wait for this; before it is restored nothing shows notifications
    activate: (app) => { void app.restored.then(() => watch(app)); },
  };

  async function watch(app) {
    const { Notification } = (await shared("@jupyterlab/apputils")) ?? {};
    if (!Notification) return;
    let shown;
    const warn = (endsAt) => {
      if (shown) Notification.dismiss(shown);
      shown = Notification.warning(sentence(endsAt), { autoClose: false });
    };
    app.serviceManager.events.stream.connect((_, event) => { if (event.schema_id === SCHEMA) warn(event.ends_at); });
    const token = document.cookie.match(/(?:^|;\s*)_xsrf=([^;]+)/);
    const headers = token ? { "X-XSRFToken": decodeURIComponent(token[1]) } : {};
    const address = `${app.serviceManager.serverSettings.baseUrl}beamhub/api/session`;
    const answer = await fetch(address, { headers, credentials: "same-origin" }).catch(() => null);
    const found = answer?.ok ? await answer.json() : {};
    if (found.ends_at && Date.parse(found.ends_at) - Date.now() < SOON) warn(found.ends_at);
  }

  const containers = (window._JUPYTERLAB = window._JUPYTERLAB || {});
  containers["@beamhub/session"] = {
    init: (scopes) => { scope = scopes; },
    get: async () => () => ({ __esModule: true, default: plugin }),
  };
})();
