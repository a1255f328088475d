/** `1234 KiB` */
export function kilobytes(bytes: number): string {
  return `${Math.round(bytes / 1024)} KiB`;
}
