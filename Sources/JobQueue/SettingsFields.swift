import EditSettings

extension EditSettings {
  /// The settings under the names that a sidecar has for them; what is not set is left out.
  var sidecarFields: [String: JSONValue] {
    var fields: [SidecarKey: JSONValue] = [
      .prompt: .text(prompt), .sourcePrompt: .text(sourcePrompt),
      .negativePrompt: .text(negativePrompt),
      .method: .text(method.rawValue),
      .inversion: .text(inversion.rawValue), .steps: .whole(Int64(steps)),
      .guidance: .number(guidance), .seed: .unsigned(seed),
      .bases: .whole(Int64(bases)), .iterations: .whole(Int64(iterations)),
    ]
    fields[.frames] = frames.map { .whole(Int64($0)) }
    fields[.size] = size.map { .text($0.description) }
    fields[.model] = model.map { .text($0) }
    return Dictionary(uniqueKeysWithValues: fields.map { ($0.key.rawValue, $0.value) })
  }
}
