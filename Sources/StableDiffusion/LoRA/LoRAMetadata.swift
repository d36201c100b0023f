import Foundation

/// What diffusers notes of a LoRA's training beside its tensors: peft's configuration of each
/// component, as JSON.
struct LoRAMetadata {
  private struct Configuration {
    var alpha: Double?
    var alphas: [String: Double] = [:]
    var usesRoots = false
  }

  private var configurations: [LoRATensorName.Component: Configuration] = [:]

  /// - Throws: `ModelError` where it asks for what is not supported.
  init(_ metadata: [String: String], path: String) throws {
    guard let text = metadata["lora_adapter_metadata"] else { return }
    guard
      let fields = (try? JSONSerialization.jsonObject(with: Data(text.utf8))) as? [String: Any]
    else { throw ModelError("\(path): its 'lora_adapter_metadata' is not JSON") }
    for component in [LoRATensorName.Component.unet, .textEncoder] {
      func field(_ name: String) -> Any? { fields["\(component.rawValue).\(name)"] }
      if field("use_dora") as? Bool == true {
        throw ModelError("\(path) is a DoRA, which is not supported")
      }
      configurations[component] = Configuration(
        alpha: (field("lora_alpha") as? NSNumber)?.doubleValue,
        alphas: (field("alpha_pattern") as? [String: Double]) ?? [:],
        usesRoots: field("use_rslora") as? Bool == true)
    }
  }

  /// `nil` where nothing is said.
  func alpha(of layer: String, _ component: LoRATensorName.Component) -> Double? {
    guard let configuration = configurations[component] else { return nil }
    // A pattern is a layer's path, or its end.
    let own = configuration.alphas.first { pattern, _ in
      let path = pattern.replacing(".", with: "_")
      return layer == path || layer.hasSuffix("_" + path)
    }
    return own?.value ?? configuration.alpha
  }

  /// Whether scales are by the root of the rank (rank-stabilised, arXiv 2312.03732).
  func usesRoots(_ component: LoRATensorName.Component) -> Bool {
    configurations[component]?.usesRoots ?? false
  }
}
