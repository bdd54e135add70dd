/** The dialog of a command: what will happen, the reason, and a key of its own. */
import { ApiError, command, hasKey, setKey } from "./api.js";
import { h } from "./dom.js";
import { time } from "./format.js";

/** @typedef {{reason?: string, by?: string}} Sent */
/**
 * @typedef {object} Question
 * @property {string} title
 * @property {string} button what it does, in a word or two
 * @property {string[]} effects sentences
 * @property {string} asOf which data the sentences are about
 * @property {boolean} needsReason
 * @property {import("./commands.js").Choice[]} choices
 * @property {{id: string, label: string, type?: string, maxlength?: number, read: (value: string) => object}[]} [inputs] `read` returns further fields of the body
 * @property {"POST"|"PUT"|"DELETE"} method
 * @property {string} path
 * @property {() => object} body further fields of the body
 * @property {() => string} changed what has changed since the dialog was opened; "": nothing
 * @property {(sent: Sent) => Promise<string>} look returns what shows that the command was carried out; "": nothing does
 * @property {(response: any) => (Node|string)[]} done what to say of a command that was carried out
 */

/** The name that the last command had. */
let by = "";
/** Closes the open dialog, unless it waits for the response to a command. */
export let closeDialog = () => {};

/** @param {string} id @param {string} label @param {Record<string, any>} properties */
function field(id, label, properties) {
  const input = /** @type {HTMLInputElement} */ (h("input", { id, autocomplete: "off", ...properties }));
  return { input, element: h("div", { class: "field" }, h("label", { for: id }, label), input) };
}

/**
 * Ask for confirmation, and send the command once.
 * @param {Question} question
 */
export function openDialog(question) {
  const reason = field("reason", question.needsReason ? "Reason" : "Reason, if there is time", { maxlength: 256, required: question.needsReason, autofocus: true });
  const name = field("by", "Your name, for the events", { maxlength: 128, value: by });
  const key = field("command-key", "Key for commands", { type: "password", required: true });
  const keep = field("keep-command", "Keep it until this tab is closed", { type: "checkbox" });
  const keyPart = h("div", { hidden: !hasKey("read") || hasKey("command") }, key.element, keep.element);
  const boxes = question.choices.map((choice, n) => ({ choice, ...field(`choice-${n}`, choice.text, { type: "checkbox", checked: choice.chosen }) }));
  const inputs = (question.inputs ?? []).map(({ id, label, read, ...more }) => ({ read, ...field(id, label, more) }));
  let isWaiting = false;
  const send = /** @type {HTMLButtonElement} */ (h("button", { id: "send", class: "main" }, question.button));
  const close = h("button", { type: "button", id: "close", onClick: () => dialog.close() }, "Do nothing");
  const message = h("p", { role: "alert", id: "outcome" });
  const form = h("form", { onSubmit: submit },
    h("h2", { id: "question" }, question.title), h("ul", { id: "effects" }, ...question.effects.map((text) => h("li", {}, text))),
    h("p", { class: "soft" }, question.asOf), ...boxes.map((box) => box.element), reason.element, ...inputs.map((item) => item.element), name.element, keyPart, message, h("div", { class: "bar" }, send, close));
  const dialog = /** @type {HTMLDialogElement} */ (h("dialog", { "aria-labelledby": "question", "aria-describedby": "effects" }, form));
  const opener = document.activeElement?.id ?? "";
  const timer = setInterval(watch, 500);
  closeDialog = () => isWaiting || dialog.close();
  dialog.addEventListener("close", () => {
    clearInterval(timer);
    closeDialog = () => {};
    dialog.remove();
    // The button may have been built anew meanwhile.
    (document.getElementById(opener) ?? document.getElementById("view"))?.focus();
  });
  // A link leads to another view.
  dialog.addEventListener("click", (event) => event.target instanceof HTMLAnchorElement && dialog.close());
  showKey();
  document.body.append(dialog);
  dialog.showModal();

  function showKey() {
    key.input.disabled = Boolean(keyPart.hidden);
  }

  /** Refuse to send what the sentences no longer describe. */
  function watch() {
    const changed = send.disabled ? "" : question.changed();
    if (changed) end("bad", `${changed} Close this, look, and decide again.`);
  }

  /** @param {string} kind @param {...(Node|string)} content */
  function end(kind, ...content) {
    send.disabled = true;
    say(kind, ...content);
    close.textContent = "Close";
    close.focus();
  }

  /** @param {string} kind @param {...(Node|string)} content */
  function say(kind, ...content) {
    message.className = kind;
    message.replaceChildren(...content);
  }

  /** @param {SubmitEvent} event */
  async function submit(event) {
    event.preventDefault();
    if (send.disabled) return;
    const body = { ...question.body(), ...chosen(), ...Object.assign({}, ...inputs.map(({ input, read }) => read(input.value.trim()))), ...(reason.input.value && { reason: reason.input.value }), ...(name.input.value && { by: name.input.value }) };
    const needed = new Set(boxes.map(({ choice }) => choice.name));
    if ([...needed].some((item) => !(item in chosen()))) return say("bad", "Choose at least one.");
    by = name.input.value;
    if (!keyPart.hidden) setKey("command", key.input.value, keep.input.checked);
    send.disabled = isWaiting = true;
    say("soft", "Sent. Waiting for the response.");
    try {
      end("good", ...question.done(await command(question.method, question.path, body)));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      await explain(error, body);
    } finally {
      isWaiting = false;
    }
  }

  /** @param {ApiError} error @param {Sent} sent */
  async function explain(error, sent) {
    if (error.status === 401 || error.status === 403) {
      setKey("command", "", false);
      keyPart.hidden = false;
      showKey();
      send.disabled = false;
      say("bad", "Nothing was done: the key for commands is missing or wrong.");
      key.input.focus();
      return;
    }
    // A browser repeats a request by itself when a kept connection breaks, so a refusal may be that
    // of the second one.
    say("soft", "Reading the events to see whether the command was carried out.");
    const found = await question.look(sent).catch(() => null);
    if (found) end("bad", `${error.message} But the command was carried out: ${found}`);
    else if (found === null) end("bad", `${error.message} The events cannot be read: look at them before you send it again.`);
    else if (error.status === 0 || error.status >= 500) end("bad", `${error.message} The events do not show the command until now. Look at them again before you repeat it.`);
    else {
      send.disabled = false;
      say("bad", `Nothing was done: ${error.message}`);
    }
  }

  /** @returns {Record<string, string[]>} */
  function chosen() {
    /** @type {Record<string, string[]>} */
    const values = {};
    for (const { choice, input } of boxes) if (input.checked) (values[choice.name] ??= []).push(choice.value);
    return values;
  }
}

/** @param {number} revision @param {string} at */
export const asOf = (revision, at) => `As of revision ${revision}, ${time(at)}.`;
