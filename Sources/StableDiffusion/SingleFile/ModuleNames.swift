/// What the modules of a network are called elsewhere; a module's tensors and parts that have no
/// entry of their own keep their names below it.
struct ModuleNames: Sendable {
  private var originals: [String: String] = [:]

  subscript(module: String) -> String? {
    get { originals[module] }
    set { originals[module] = newValue }
  }

  /// The other name of a tensor, by its closest module that has one.
  func original(of tensor: String) -> String {
    var module = tensor[...]
    while let dot = module.lastIndex(of: ".") {
      module = module[..<dot]
      if let original = originals[String(module)] {
        return original + tensor[module.endIndex...]
      }
    }
    return tensor
  }
}
