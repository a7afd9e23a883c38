// The server's state, asked every few seconds while somebody looks.

const IDLE_MS = 5000;
const BUSY_MS = 1000;

/** Poll /health and tell `show(health)`; null means that nobody answered. Gives `hurry(yes)`. */
export function watchHealth(show) {
  let timer = 0;
  let pause = IDLE_MS;

  const ask = async () => {
    clearTimeout(timer);
    if (document.hidden) return; // asked again when the page is looked at
    show(await health());
    clearTimeout(timer);
    timer = setTimeout(ask, pause);
  };
  document.addEventListener("visibilitychange", ask);
  ask();

  return (yes) => {
    pause = yes ? BUSY_MS : IDLE_MS;
    ask();
  };
}

async function health() {
  try {
    // 503 has the same body: the model loads, or the server stops
    return await (await fetch("health", { cache: "no-store" })).json();
  } catch {
    return null;
  }
}

/** What the header says: {state, label, model, busy, queue}. */
export function described(health) {
  if (health === null) return { state: "bad", label: "no answer", model: "–", busy: "–", queue: "–" };
  const known = { ready: ["good", "ready"], initializing: ["wait", "loading the model"], draining: ["wait", "stopping"] };
  const [state, label] = known[health.state] ?? ["wait", String(health.state ?? health.status ?? "unknown")];
  const full = state === "good" && health.slots > 0 && health.active >= health.slots;
  return {
    state: full ? "wait" : state,
    label: full ? "busy" : label,
    model: health.model ?? "–",
    busy: health.slots === undefined ? "–" : `${health.active} of ${health.slots} slots`,
    queue: health.queued === undefined ? "–" : `${health.queued} waiting`,
  };
}
