import type { Instance, Registration, Registry } from "../../src/registry/registry.ts";

/** A registry that does as a test says and writes down what is asked of it. */
export class ScriptedRegistry implements Registry {
  readonly name = "scripted";
  readonly isMachineOnly = true;
  readonly events: string[] = [];
  readonly instances: Instance[] = [];
  /** What each step waits for; it fails when this rejects. */
  onRegister: () => Promise<void> = async () => {};
  onUpdate: () => Promise<void> = async () => {};
  onLeave: () => Promise<void> = async () => {};

  async register(service: string, instance: Instance): Promise<Registration> {
    this.events.push(`register ${service}`);
    await this.onRegister();
    this.instances.push(instance);
    return {
      state: "registered",
      update: async ({ state }) => {
        this.events.push(`update ${state}`);
        await this.onUpdate();
      },
      close: async () => {
        this.events.push("leave");
        await this.onLeave();
        this.instances.splice(this.instances.indexOf(instance), 1);
      },
    };
  }

  watch(): never {
    throw new Error("nobody watches this registry");
  }

  async close(): Promise<void> {
    this.events.push("close");
  }
}
