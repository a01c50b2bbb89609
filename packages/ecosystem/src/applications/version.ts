import { HanseError } from "@hanse/protocol";

const VERSION = /^(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})$/;

/** Numbers of a version `major.minor.patch`. @throws HanseError `APP_VERSION` naming the field. */
export function parseVersion(text: string, field: string): readonly [number, number, number] {
  const match = VERSION.exec(text);
  if (match === null) {
    throw new HanseError("APP_VERSION", "malformed", `${field}: expected major.minor.patch`, {
      details: { field },
    });
  }
  return [Number(match[1]), Number(match[2]), Number(match[3])];
}

/** Below zero when a is older than b. @throws HanseError `APP_VERSION` */
export function compareVersions(a: string, b: string): number {
  const left = parseVersion(a, "version");
  const right = parseVersion(b, "version");
  for (const at of [0, 1, 2] as const) {
    if (left[at] !== right[at]) return left[at] - right[at];
  }
  return 0;
}
