/** The native transaction form as the pipeline sees it. */
import {
  accountIdOf,
  decodeNativeTransaction,
  type Hash,
  type PublicKey,
  TRANSACTION_FORMS,
} from "@hanse/protocol";
import type { TransactionCodec } from "../pipeline/interfaces.ts";

/** Keys whose account id is remembered; two generations of this many. */
const ACCOUNT_IDS_MAX = 16_384;

/** Remembers account ids of keys: a hash and an encoding saved for each transaction of a known key. */
function createAccountIds(): (key: PublicKey) => Hash {
  let young = new Map<string, Hash>();
  let old = new Map<string, Hash>();
  return (key) => {
    let text = key.algorithm;
    for (let i = 0; i < key.bytes.length; i += 2) {
      text += String.fromCharCode((key.bytes[i]! << 8) | (key.bytes[i + 1] ?? 0));
    }
    let id = young.get(text);
    if (id !== undefined) return id;
    id = old.get(text) ?? accountIdOf(key);
    if (young.size >= ACCOUNT_IDS_MAX) {
      old = young;
      young = new Map();
    }
    young.set(text, id);
    return id;
  };
}

/** Reads native transactions: one claim, the sender's signature over the body. */
export function createNativeCodec(): TransactionCodec {
  const accountIds = createAccountIds();
  return {
    form: TRANSACTION_FORMS.native,
    decode(bytes) {
      const { id, body, signature, signedMessage } = decodeNativeTransaction(bytes);
      return {
        id,
        form: TRANSACTION_FORMS.native,
        bytes,
        ledgerId: body.ledgerId,
        sender: accountIds(body.sender),
        senderKey: body.sender,
        claims: [{ key: body.sender, message: signedMessage, signature }],
        validUntil: body.validUntil,
        engine: body.engine,
        payload: body.payload,
      };
    },
  };
}
