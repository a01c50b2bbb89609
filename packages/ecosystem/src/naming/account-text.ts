/** The form `xxxx-xxxx-xxxx-xxxx-xxxx` of an account's signed 64-bit number. */
export function accountText(keyId: bigint): string {
  const digits = BigInt.asUintN(64, keyId).toString().padStart(20, "0");
  return digits.match(/\d{4}/g)!.join("-");
}

const ACCOUNT = /^\d{4}(-\d{4}){4}$/;

/** The account number of a text of that form, undefined when it is none. */
export function accountNumber(text: string): bigint | undefined {
  if (!ACCOUNT.test(text)) return undefined;
  const number = BigInt(text.replaceAll("-", ""));
  return number < 1n << 64n ? BigInt.asIntN(64, number) : undefined;
}
