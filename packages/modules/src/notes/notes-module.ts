/** Module `notes`: small values under keys of one's own, for everybody to read. */
import { concatBytes, fromHex, HanseError, toHex, utf8 } from "@hanse/protocol";
import { bytes, text } from "../engine/arguments.ts";
import { defineAction, type NativeModule } from "../engine/native-engine.ts";

export const NOTES_NAMESPACE = "notes";
export const NOTE_KEY_MAX = 128;
export const NOTE_BYTES_MAX = 16 * 1024;

/** Account id and the key's UTF-8: nobody writes under another's. */
export function noteKey(accountId: Uint8Array, key: string): Uint8Array {
  return concatBytes(accountId, utf8(key));
}

function noteKeyText(): ReturnType<typeof text> {
  const read = text(NOTE_KEY_MAX);
  return (value, field) => {
    const key = read(value, field);
    if (key.length > 0) return key;
    throw new HanseError("MODULE_ARGUMENT", "malformed", `${field}: expected 1 character or more`, {
      details: { field },
    });
  };
}

const put = defineAction({
  fields: { key: noteKeyText(), value: bytes(0, NOTE_BYTES_MAX) },
  fuel: 1_000,
  check() {},
  run({ key, value }, { sender, state, emit }) {
    state.putKv(NOTES_NAMESPACE, noteKey(sender.accountId, key), value);
    emit("put", { account: toHex(sender.accountId), key, bytes: value.length });
    return null;
  },
});

const remove = defineAction({
  fields: { key: noteKeyText() },
  fuel: 1_000,
  check() {},
  run({ key }, { sender, state, emit }) {
    const at = noteKey(sender.accountId, key);
    if (state.getKv(NOTES_NAMESPACE, at) === undefined) {
      throw new HanseError("NOTES_ABSENT", "notFound", `key: you have no note "${key}"`);
    }
    state.removeKv(NOTES_NAMESPACE, at);
    emit("removed", { account: toHex(sender.accountId), key });
    return null;
  },
});

export function createNotesModule(): NativeModule {
  return {
    name: "notes",
    actions: { put, remove },
    queries: {
      /** `{account?, key}`, account id in hex, else the caller's; the value in hex, null where there is none. */
      get({ account, key }, caller, state) {
        const owner = typeof account === "string" ? fromHex(account) : caller?.accountId;
        if (owner === undefined || typeof key !== "string") {
          throw new HanseError("MODULE_ARGUMENT", "malformed", "input: expected account and key");
        }
        const entry = state.getKv(NOTES_NAMESPACE, noteKey(owner, key));
        return entry === undefined ? null : { value: toHex(entry.value), version: entry.version };
      },
    },
  };
}
