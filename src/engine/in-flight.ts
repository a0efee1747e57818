/** A few pieces of work at once: adding one more waits until there is room. The first failure comes out of the next call. */
export class InFlight {
  private readonly most: number
  private readonly running = new Set<Promise<void>>()
  private failure?: {error: unknown}

  constructor(most: number) {
    this.most = most
  }

  async add(work: Promise<unknown>): Promise<void> {
    const entry: Promise<void> = work
      .then(
        () => {},
        (error: unknown) => void (this.failure ??= {error}),
      )
      .finally(() => this.running.delete(entry))
    this.running.add(entry)
    while (this.running.size >= this.most) await Promise.race(this.running)
    this.throwIfFailed()
  }

  async settled(): Promise<void> {
    await Promise.all(this.running)
  }

  throwIfFailed(): void {
    if (this.failure) throw this.failure.error
  }
}
