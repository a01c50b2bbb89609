export function trimSpace(text: string): string {
  return text.trim();
}
export function lowerText(text: string): string {
  return text.toLowerCase();
}
export function upperText(text: string): string {
  return text.toUpperCase();
}
