import EditSettings

extension EditSettings {
  /// What edits with the method that is asked for; `nil` where nothing is edited.
  var editor: (any Editor)? {
    switch method {
    case .reconstruct: nil
    case .tokenflow: TokenFlow(self)
    case .pix2video: Pix2Video(guidance: guidance)
    }
  }
}
