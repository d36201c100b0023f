import EditSettings
import Tensor

/// A row of states that an edit passes through, one a step. A method has as many as it needs, under
/// names of its own.
public struct EditSeries: Hashable, Sendable {
  /// Which of its states an edit needs to go on.
  public enum Need: Sendable {
    /// All of them, from the first.
    case every
    /// The newest one; it replaces those before.
    case newest
  }

  /// Small letters and hyphens; the first is a letter.
  public let name: String
  public let need: Need

  public init(_ name: String, needs need: Need) { (self.name, self.need) = (name, need) }

  /// The clip's latents, not yet scaled; a portion of its frames each.
  public static let latents = EditSeries("latents", needs: .every)
  /// The latents at each noise level of the inversion.
  public static let trajectory = EditSeries("trajectory", needs: .every)
  /// The latents after a step of the inversion between two levels.
  public static let betweenLevels = EditSeries("between-levels", needs: .newest)
  /// The latents after a step of sampling the source prompt.
  public static let reconstruction = EditSeries("reconstruction", needs: .newest)
  /// The latents after a step of the edit.
  public static let edit = EditSeries("edit", needs: .newest)
  /// The decoded reconstruction; a portion of its frames each.
  public static let reconstructedPictures = EditSeries("reconstructed-pictures", needs: .every)
  /// The decoded edit; a portion of its frames each.
  public static let pictures = EditSeries("pictures", needs: .every)

  /// What an inversion leaves, which serves every edit with the same source.
  public static let inversion = [latents, trajectory]
}

/// All that a step leaves for the next ones, by the method's own names.
public typealias EditState = [String: Tensor]

/// Keeps the states of an edit, and gives back those that an earlier run of the same edit left.
/// Random numbers need no keeping: they depend on nothing but the seed and where they are used.
public protocol EditMemory: AnyObject {
  /// How many steps of a series an earlier run has passed: of `every`, all states from 0 up to here
  /// can be recalled; of `newest`, the last one.
  func steps(of series: EditSeries) -> Int

  /// The state after step `index`, counted from 0; asked for once.
  func recall(_ series: EditSeries, _ index: Int) -> EditState?

  /// Takes the state after a step, at which the edit stands at `progress`.
  func keep(_ state: EditState, _ series: EditSeries, _ index: Int, at progress: EditProgress)
}
