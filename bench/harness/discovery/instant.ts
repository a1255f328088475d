/**
 * Now, in ms, on a clock that all processes of this machine have in common: the system's monotonic one (Linux CLOCK_MONOTONIC, macOS
 * mach_absolute_time).
 */
export function instantMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
