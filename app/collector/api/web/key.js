// The API key, for servers that ask for one: kept in this tab's session storage, nowhere else.

const KEY = "api-key";
const $ = (id) => document.getElementById(id);

/** The key of this tab; "" when there is none. */
export function key() {
  return sessionStorage.getItem(KEY) ?? "";
}

/** Show the card: the entry, or that a key is set. */
export function showKey() {
  $("key-card").hidden = false;
  $("key-form").hidden = key() !== "";
  $("key-set").hidden = key() === "";
}

/** Show the entry, also when the key that is set was refused. */
export function askForKey() {
  const shown = !$("key-card").hidden && !$("key-form").hidden;
  showKey();
  $("key-form").hidden = false;
  $("key-set").hidden = true;
  if (!shown) $("key").focus();
}

/** Wire the card; `changed()` is called after a key was given or removed. */
export function wireKey(changed) {
  $("key-form").addEventListener("submit", (event) => {
    event.preventDefault();
    sessionStorage.setItem(KEY, $("key").value.trim());
    $("key").value = "";
    showKey();
    changed();
  });
  $("key-forget").addEventListener("click", () => {
    sessionStorage.removeItem(KEY);
    askForKey();
    changed();
  });
  if (document.body.dataset.keyRequired === "true") showKey();
}
