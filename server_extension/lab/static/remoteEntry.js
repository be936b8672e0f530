// What Lab and Notebook get from us, small enough to be written as they load it: a notification when this server's time
// runs out, the table as it was where a notebook is opened whose kernel is gone, and a run's output beside the notebook.
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
    const clock = new Date(endsAt).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
    return `Your server ends in ${minutes} ${minutes === 1 ? "minute" : "minutes"} (${clock}): save your work.`;
  }

  const timeLeft = {
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

  const asItWas = {
    id: "@beamhub/session:as-it-was",
    description: "Shows the static table in place of the error that there is no widget, in a notebook of another kernel.",
    autoStart: true,
    activate: (app) => {
      new MutationObserver((changes) => {
        for (const { target } of changes) if (isLost(target)) void show(app, target).catch(console.error);
      }).observe(document.body, { childList: true, subtree: true });
    },
  };

  /** Whether the widgets' own renderer wrote there that the kernel knows no such widget. */
  function isLost(node) {
    return node.classList?.contains("jupyter-widgets") && node.childElementCount === 0
      && node.textContent === "Error displaying widget: model not found";
  }

  /** The static table of the output that is shown in a node, where there is one of ours. */
  async function show(app, node) {
    const { area, output } = outputOf(app, node) ?? {};
    const html = output?.data["text/html"];
    if (!String(html ?? output?.data["text/plain"] ?? "").includes("Processed data")) return;
    const how = document.createElement("p");
    how.textContent = "Run this cell to see it live.";
    node.replaceChildren(how);
    if (!html) return; // it is an output of its own
    const table = area.rendermime.createRenderer("text/html");
    await table.renderModel(output);
    node.append(table.node);
  }

  function outputOf(app, node) {
    for (const { content } of app.shell.widgets("main")) {
      for (const { outputArea: area } of content?.widgets ?? []) {
        const at = area?.widgets.findIndex((one) => one.node.contains(node)) ?? -1;
        if (at >= 0) return { area, output: area.model.get(at) };
      }
    }
    return undefined;
  }

  const openOutput = {
    id: "@beamhub/session:open-output",
    description: "Opens a run's output beside the notebook where the table's link to it is clicked.",
    autoStart: true,
    activate: (app) => {
      document.body.addEventListener("click", (event) => {
        const path = event.target.closest?.(".bh-root a.bh-open")?.dataset.path;
        if (!path?.endsWith(".nxs") || event.ctrlKey || event.metaKey || event.shiftKey) return;
        event.preventDefault();
        void open(app, path).catch(console.error);
      });
    },
  };

  /** h5web opens what is selected in the file browser, whatever it was asked for. */
  async function open(app, path) {
    await app.commands.execute("filebrowser:go-to-path", { path });
    await app.commands.execute("docmanager:open", { path });
  }

  const containers = (window._JUPYTERLAB = window._JUPYTERLAB || {});
  containers["@beamhub/session"] = {
    init: (scopes) => { scope = scopes; },
    get: async () => () => ({ __esModule: true, default: [timeLeft, asItWas, openOutput] }),
  };
})();
