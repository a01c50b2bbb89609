/** Tags of data fields: words separated by spaces; one of them has an effect. */

export function tagWords(tag: string): readonly string[] {
  return tag.split(" ").filter((word) => word !== "");
}

/** `optional` counts wherever it stands in the tag. */
export function isOptionalTag(tag: string): boolean {
  return tag.includes("optional");
}
