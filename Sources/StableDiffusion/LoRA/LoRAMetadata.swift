import Foundation

/// What diffusers notes of a LoRA's training beside its tensors: peft's configuration of each
/// component, as JSON.
struct LoRAMetadata {
  private struct Configuration {
    var alpha: Double?
    /// By pattern, in the order in which the file has them.
    var alphas: [(pattern: String, alpha: Double)] = []
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
      // What a UNet alone has written names no component here either.
      func field(_ name: String) -> Any? {
        fields["\(component.rawValue).\(name)"] ?? (component == .unet ? fields[name] : nil)
      }
      if field("use_dora") as? Bool == true {
        throw ModelError("\(path) is a DoRA, which is not supported")
      }
      let alphas = (field("alpha_pattern") as? [String: Any] ?? [:]).compactMapValues {
        ($0 as? NSNumber)?.doubleValue
      }
      if let odd = alphas.keys.first(where: { !Self.isPath($0) }) {
        throw ModelError(
          "\(path) gives an alpha to the layers '\(odd)'; patterns other than a path's end are not supported"
        )
      }
      configurations[component] = Configuration(
        alpha: (field("lora_alpha") as? NSNumber)?.doubleValue,
        // diffusers writes them in this order.
        alphas: alphas.sorted { $0.key < $1.key }.map { ($0.key, $0.value) },
        usesRoots: field("use_rslora") as? Bool == true)
    }
  }

  /// - Parameter path: the layer's, with dots.
  /// - Returns: `nil` where nothing is said.
  func alpha(of path: String, _ component: LoRATensorName.Component) -> Double? {
    guard let configuration = configurations[component] else { return nil }
    // Older versions of transformers put this before the text encoder's layers.
    let paths = component == .textEncoder ? [path, "text_model." + path] : [path]
    let own = configuration.alphas.first { pattern, _ in
      paths.contains { Self.fits($0, pattern) }
    }
    return own?.alpha ?? configuration.alpha
  }

  /// Whether scales are by the root of the rank (rank-stabilised, arXiv 2312.03732).
  func usesRoots(_ component: LoRATensorName.Component) -> Bool {
    configurations[component]?.usesRoots ?? false
  }

  /// As peft has it: a pattern is a layer's path or its last names; after `^` the whole path. To peft
  /// it is a regular expression, but nothing that writes these files makes use of that.
  private static func fits(_ path: String, _ pattern: String) -> Bool {
    if pattern.hasPrefix("^") { return path == pattern.dropFirst() }
    return path == pattern || path.hasSuffix("." + pattern)
  }

  private static func isPath(_ pattern: String) -> Bool {
    pattern.wholeMatch(of: /\^?[A-Za-z0-9_.]+/) != nil
  }
}
