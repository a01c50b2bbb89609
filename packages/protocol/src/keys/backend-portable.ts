export const KEY_BACKENDS = {};
