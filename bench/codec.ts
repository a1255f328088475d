import { type CodecLoad, codecLoad, libraryContestant } from "./harness/codec/library-contestant.ts";
import type { Question } from "./harness/question.ts";
import type { Bar } from "./harness/report/report.ts";
import type { Direction } from "./libraries/library.ts";
import { generateProtobufjs } from "./libraries/protobufjs.ts";
import { isMessageKind, MESSAGE_KINDS, type MessageKind } from "./messages/message-kind.ts";

const DIRECTIONS: readonly Direction[] = ["encode", "decode"];
const FIGURE = "messagesPerSecond";

const OTHERS = ["protobuf-es", "protobufjs static", "protobufjs reflection", "google-protobuf", "JSON"];
/** Kinds that the first two bars are about: what nearly all calls carry. */
const USUAL: readonly MessageKind[] = ["tiny", "order"];

/** A line of the tables. */
interface Line {
  readonly kind: MessageKind;
  readonly direction: Direction;
}

/** Ours against protobuf-es by so much, and not behind the others anywhere. */
function bars(kinds: readonly MessageKind[]): Bar[] {
  const all = kinds.flatMap((kind) => DIRECTIONS.map((direction): Line => ({ kind, direction })));
  const usual = all.filter(({ kind }) => USUAL.includes(kind));
  return [
    ...usual.map((line) => bar(line, "protobuf-es", line.direction === "encode" ? [4, 6] : [2.5, 3.5])),
    ...["protobufjs static", "google-protobuf"].flatMap((peer) => all.map((line) => bar(line, peer, [1, 1.5]))),
  ];
}

function bar({ kind, direction }: Line, theirs: string, [must, goal]: readonly [number, number]): Bar {
  const load = `${kind} ${direction}`;
  // A blob out of a connection's chunk has to be copied. Theirs show parts of bytes that they were given, so ours does the same here.
  const peer = load === "blob decode" ? `bowline toBytes : ${theirs}` : theirs;
  return { what: `${load} vs ${theirs}`, peer, load, figure: FIGURE, kind: "floor", must, goal };
}

/** The question for some kinds of messages. */
function codecOf(kinds: readonly MessageKind[]): Question {
  return {
    name: "codec",
    asks: "messages to bytes and back, without calls: against protobuf-es, protobufjs, google-protobuf and JSON",
    figures: [FIGURE, "megabytesPerSecond"],
    loads: loadsOf(kinds),
    quickLoads: loadsOf(kinds).map((load) => load.name),
    warmups: [],
    layout: "matrix",
    measuredBy: { placement: "one process at a time, on core 1", cpuTimeSource: "process.cpuUsage" },
    peers: () => {
      generateProtobufjs();
      return {
        contestants: [
          libraryContestant("bowline", DIRECTIONS),
          libraryContestant("bowline toBytes", DIRECTIONS),
          libraryContestant("bowline init", ["encode"]),
          libraryContestant("protobuf-es", DIRECTIONS),
          libraryContestant("protobuf-es create", ["encode"]),
          ...OTHERS.slice(1).map((name) => libraryContestant(name, DIRECTIONS)),
        ],
        skipped: {},
      };
    },
    comparisons: [
      ...OTHERS.map((theirs) => ({ ours: "bowline", theirs })),
      ...OTHERS.map((theirs) => ({ ours: "bowline toBytes", theirs })),
      { ours: "bowline init", theirs: "protobuf-es create" },
    ],
    bars: bars(kinds),
    notes: [
      "A second is one of CPU time with the collection of garbage in it; one process for each library, which knows all these messages.",
      "bowline encodes into a buffer that it goes on in, and decodes from a larger one in place, as in a call: fields of type bytes are copied there. bowline toBytes " +
        "makes bytes of their own and reads such as the others do, which show parts of what they are given. bowline init and protobuf-es create begin with an object that create() did not make.",
      "google-protobuf runs code in the style of its generator (bench/libraries/google-protobuf), 64-bit numbers as numbers. JSON has texts for them, for bytes and for times.",
    ],
    withMessages: (kind) => {
      if (!isMessageKind(kind)) throw new Error(`--messages ${kind}: give one of ${MESSAGE_KINDS.join(", ")}`);
      return codecOf([kind]);
    },
  };
}

function loadsOf(kinds: readonly MessageKind[]): readonly CodecLoad[] {
  return kinds.flatMap((kind) => DIRECTIONS.map((direction) => codecLoad(kind, direction)));
}

/** How fast are messages made into bytes and back, without anything around them? */
export const codec: Question = codecOf(MESSAGE_KINDS);
