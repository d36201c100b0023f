import CKernels

/// A transformer's feed-forward with its norm and residual: x + W₂ (a · gelu(b)) with (a, b) = W₁
/// norm(x).
///
/// Its inside is eight times as wide as what goes in and comes out, so each thread takes some
/// tokens through all of it at a time, within its cache.
public struct GatedFeedForward: Sendable {
  private let norm: LayerNorm
  private let up, down: Linear

  /// - Parameters:
  ///   - up: channels to twice the inner channels.
  ///   - down: inner channels to channels.
  public init(norm: LayerNorm, up: Linear, down: Linear) {
    precondition(
      up.outputs == 2 * down.inputs && up.inputs == down.outputs, "a gate halves what comes up")
    (self.norm, self.up, self.down) = (norm, up, down)
  }

  /// - Parameter hiddenStates: (…, channels).
  public func callAsFunction(_ hiddenStates: Tensor) -> Tensor {
    var output = Tensor(uninitialized: hiddenStates.shape)
    let (channels, inner) = (up.inputs, down.inputs)
    let count = output.count / channels
    guard count > 0 else { return output }
    let threads = Parallel.threads
    // What comes up to 128 tokens of a few hundred channels fits in a core's cache.
    let parts = threads * ((count + threads * 128 - 1) / (threads * 128))
    let part = (count + parts - 1) / parts
    func stage(_ layer: Linear, _ rows: Int, adds: Bool = false) -> LinearRows {
      LinearRows(layer, rows: rows, adds: adds, onOneThread: true)
    }
    let rest = (count - 1) % part + 1
    let whole = (up: stage(up, part), down: stage(down, part, adds: true))
    let last = (up: stage(up, rest), down: stage(down, rest, adds: true))
    let size = part * (channels + 3 * inner)
    var scratch = Tensor(uninitialized: [threads, size])
    hiddenStates.withValues { values in
      output.withMutableValues { output in
        scratch.withMutableValues { scratch in
          let (values, output, scratch) = (Shared(values), Shared(output), Shared(scratch))
          Parallel.parts(of: (count + part - 1) / part) { thread, range in
            let normed = scratch.pointer + thread * size
            let wide = normed + part * channels
            let gated = wide + part * 2 * inner
            for index in range {
              let rows = min(part, count - index * part)
              let (from, to) = (
                values.pointer + index * part * channels, output.pointer + index * part * channels
              )
              let stages = rows == part ? whole : last
              norm.apply(to: from, rows: rows, into: normed)
              stages.up(normed, into: wide)
              kernels_geglu(wide, gated, rows, inner)
              to.update(from: from, count: rows * channels)
              stages.down(gated, into: to)
            }
          }
        }
      }
    }
    return output
  }
}
