/** Goes wrong behind four gates, each open to one octet in 256: chance alone would need four thousand million inputs. */
export function maze(input: Uint8Array): void {
  if (input[0] !== 0x62) return;
  if (input[1] !== 0x6f) return;
  if (input[2] !== 0x77) return;
  if (input[3] !== 0x6c) return;
  throw new Error("the planted fault behind the gates");
}
