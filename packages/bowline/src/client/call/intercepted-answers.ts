/** The call behind the answers. */
export interface AnswerSource {
  /** All answers were read. */
  finished(): void;
  /** The user has left before the end. */
  abandoned(): void;
}

/**
 * What a user iterates of a streaming call that has interceptors: whatever the outermost one gives, once it does.
 *
 * The end of the iteration is the end of the call, also when no interceptor has gone on with it.
 */
export class InterceptedAnswers implements AsyncIterableIterator<unknown> {
  readonly #answers: Promise<AsyncIterable<unknown>>;
  readonly #source: AnswerSource;
  #iterator: Promise<AsyncIterator<unknown>> | null = null;

  constructor(answers: Promise<AsyncIterable<unknown>>, source: AnswerSource) {
    this.#answers = answers;
    this.#source = source;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<unknown>> {
    this.#iterator ??= this.#answers.then((answers) => answers[Symbol.asyncIterator]());
    let result: IteratorResult<unknown>;
    try {
      result = await (await this.#iterator).next();
    } catch (error) {
      this.#source.abandoned();
      throw error;
    }
    if (result.done === true) this.#source.finished();
    return result;
  }

  /** The call first: an interceptor that waits for an answer would keep `return` waiting. */
  return(): Promise<IteratorResult<unknown>> {
    this.#source.abandoned();
    this.#iterator?.then((iterator) => iterator.return?.()).catch(() => {});
    return Promise.resolve({ value: undefined, done: true });
  }
}
