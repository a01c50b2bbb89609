export {
  type ArgumentReader,
  type ArgumentSpec,
  type Arguments,
  bytes,
  optional,
  publicKey,
  readArguments,
  text,
  texts,
} from "./engine/arguments.ts";
export {
  type ActionContext,
  createNativeEngine,
  defineAction,
  encodeNativeCall,
  NATIVE_ENGINE,
  type NativeAction,
  type NativeModule,
  type NativeQuery,
  type PlainValue,
  toPlainJson,
} from "./engine/native-engine.ts";
export {
  createNotesModule,
  NOTE_BYTES_MAX,
  NOTE_KEY_MAX,
  NOTES_NAMESPACE,
  noteKey,
} from "./notes/notes-module.ts";
export { createRegistryModule } from "./registry/registry-module.ts";
