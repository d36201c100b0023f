import EditSettings
import StableDiffusion

extension EditSettings {
  /// What edits with the method that is asked for; `nil` where nothing is edited.
  func editor(for model: StableDiffusionModel) -> (any Editor)? {
    switch method {
    case .reconstruct: nil
    case .tokenflow: TokenFlow(self)
    case .fatezero: FateZero(self)
    case .pix2video: Pix2Video(self)
    case .text2videoZero:
      model.takesInstructions
        ? VideoInstructPix2Pix(self)
        : Text2VideoZero(guidance: guidance)
    }
  }
}
