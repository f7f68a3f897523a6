import type { Tensor } from '../tensor.js';

/** Tensors that one computation makes on its way, disposed of together when it ends, well or not. */
export class Scratch {
  readonly #tensors: Tensor[] = [];

  /** Takes a tensor in charge. */
  own(tensor: Tensor): Tensor {
    this.#tensors.push(tensor);
    return tensor;
  }

  /** The same for several. */
  ownAll(tensors: readonly Tensor[]): readonly Tensor[] {
    this.#tensors.push(...tensors);
    return tensors;
  }

  dispose(): void {
    for (const tensor of this.#tensors.splice(0)) tensor.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}
