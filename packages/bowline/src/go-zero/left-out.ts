import type { Section } from "./section.ts";

/** How a field is read; nothing is done with its value. */
type Look = (section: Section, name: string) => unknown;

/** Fields by name. */
type Looks = Readonly<Record<string, Look>>;

const INT = { min: -0x8000_0000, max: 0x7fff_ffff };
const UINT32 = { min: 0, max: 0xffff_ffff, unit: "bytes" };
const PORT = { min: 0, max: 65_535 };

const text: Look = (section, name) => section.text(name);
const secret: Look = (section, name) => section.secret(name);
const flag: Look = (section, name) => section.flag(name);
const whole: Look = (section, name) => section.number(name, INT);
const bytes: Look = (section, name) => section.number(name, UINT32);
const port: Look = (section, name) => section.number(name, PORT);
const duration: Look = (section, name) => section.duration(name);
const ratio: Look = (section, name) => section.number(name, { min: 0, max: 1, isWhole: false });
const cpu: Look = (section, name) => section.number(name, { min: 0, max: 999, unit: "thousandths" });
const oneOf =
  (...allowed: readonly string[]): Look =>
  (section, name) =>
    section.text(name, allowed);
const part =
  (owner: string, looks: Looks): Look =>
  (section, name) =>
    look(section.section(name), owner, looks);

function look(section: Section | undefined, owner: string, looks: Looks): void {
  if (section === undefined) return;
  for (const [name, each] of Object.entries(looks)) each(section, name);
  section.noteUnknown(owner);
}

const KEYS = ["Caller", "Content", "Duration", "Level", "Span", "Timestamp", "Trace", "Truncated"];

/** `ServiceConf` but for Name, Mode and Shutdown (core/service/serviceconf.go and what it is made of). */
const PARTS: readonly { readonly name: string; readonly look: Look; readonly why: string }[] = [
  {
    name: "Log",
    why: "log lines go to `logger`, as JSON on standard error without one",
    look: part("LogConf", {
      ServiceName: text,
      Mode: oneOf("console", "file", "volume"),
      Encoding: oneOf("json", "plain"),
      TimeFormat: text,
      Path: text,
      Level: oneOf("debug", "info", "error", "severe"),
      MaxContentLength: bytes,
      Compress: flag,
      Stat: flag,
      KeepDays: whole,
      StackCooldownMillis: whole,
      MaxBackups: whole,
      MaxSize: whole,
      Rotation: oneOf("daily", "size"),
      FileTimeFormat: text,
      FieldKeys: part("LogConf.FieldKeys", Object.fromEntries(KEYS.map((key) => [`${key}Key`, text]))),
    }),
  },
  { name: "MetricsUrl", look: text, why: "no statistics are pushed" },
  {
    name: "Prometheus",
    why: "there is no endpoint of metrics yet",
    look: part("Prometheus", { Host: text, Port: port, Path: text }),
  },
  {
    name: "Telemetry",
    why: "W3C trace headers travel without it; spans are not exported yet",
    look: part("Telemetry", {
      Name: text,
      Endpoint: text,
      Sampler: ratio,
      Batcher: oneOf("zipkin", "otlpgrpc", "otlphttp", "file"),
      OtlpHeaders: (section, name) => section.has(name),
      OtlpHttpPath: text,
      OtlpHttpSecure: flag,
      Disabled: flag,
    }),
  },
  {
    name: "DevServer",
    why: "there is no server beside the service's own; its health is asked for by grpc.health.v1",
    look: part("DevServer", {
      Enabled: flag,
      Host: text,
      Port: port,
      MetricsPath: text,
      HealthPath: text,
      EnableMetrics: flag,
      EnablePprof: flag,
      HealthResponse: text,
    }),
  },
  {
    name: "Profiling",
    why: "profiles are taken with Node's own tools",
    look: part("Profiling", {
      Name: text,
      ServerAddr: text,
      AuthUser: text,
      AuthPassword: secret,
      UploadRate: duration,
      CheckInterval: duration,
      ProfilingDuration: duration,
      CpuThreshold: cpu,
      ProfileType: part("Profiling.ProfileType", {
        Logger: flag,
        CPU: flag,
        Goroutines: flag,
        Memory: flag,
        Mutex: flag,
        Block: flag,
      }),
    }),
  },
];

/** Checks the parts of `ServiceConf` that mean nothing here, and notes each that is set. */
export function leaveOut(section: Section): void {
  for (const { name, look: check, why } of PARTS) {
    if (!section.has(name)) continue;
    check(section, name);
    section.note(name, why);
  }
}

/** Checks `RedisKeyConf` (core/stores/redis/conf.go), which is not used. */
export function leaveOutRedis(redis: Section | undefined): void {
  look(redis, "RedisKeyConf", {
    Host: text,
    Type: oneOf("node", "cluster"),
    User: text,
    Pass: secret,
    Tls: flag,
    NonBlock: flag,
    DisableIdentity: flag,
    Protocol: whole,
    MaintNotifications: oneOf("disabled", "enabled", "auto"),
    PingTimeout: duration,
    Key: text,
  });
}
