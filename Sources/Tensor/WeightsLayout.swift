import COneDNN

/// In which order oneDNN reads a layer's weights.
struct WeightsLayout: Equatable, @unchecked Sendable {
  let description: dnnl_memory_desc_t

  static func == (a: WeightsLayout, b: WeightsLayout) -> Bool {
    dnnl_memory_desc_equal([a.description], [b.description]) != 0
  }

  /// A line that two layouts have in common just where they are equal.
  var name: String {
    func list<Values>(_ values: Values, _ count: Int32) -> String {
      withUnsafeBytes(of: values) { bytes in
        bytes.bindMemory(to: dnnl_dim_t.self).prefix(Int(count)).map(String.init)
          .joined(separator: "x")
      }
    }
    // All that weights of matrix products and direct convolutions have.
    precondition(
      description.format_kind == dnnl_blocked && description.offset0 == 0
        && description.extra.flags == 0, "a layout that has no name")
    let (count, blocks) = (description.ndims, description.format_desc.blocking)
    let sides = list(description.dims, count)
    var name =
      "\(sides) of type \(description.data_type.rawValue) strides \(list(blocks.strides, count))"
    let padded = list(description.padded_dims, count)
    if padded != sides { name += " padded \(padded)" }
    if blocks.inner_nblks > 0 {
      name +=
        " blocks \(list(blocks.inner_blks, blocks.inner_nblks)) of \(list(blocks.inner_idxs, blocks.inner_nblks))"
    }
    return name
  }

  /// Of a tensor that holds weights in this layout, whatever their type.
  var shape: [Int] { [(dnnl_memory_desc_get_size([description]) + 3) / 4] }

  /// - Parameters:
  ///   - weights: in the layout `source`.
  ///   - source: of the same sides.
  func arranged(_ weights: Tensor, from source: dnnl_memory_desc_t) -> Tensor {
    let reorder = OneDNNPrimitive(reorderFrom: source, to: description)
    var values = Tensor(uninitialized: shape)
    weights.withValues { from in
      values.withMutableValues { to in
        reorder.run([(DNNL_ARG_FROM, from.forOneDNN), (DNNL_ARG_TO, UnsafeMutableRawPointer(to))])
      }
    }
    return values
  }
}
