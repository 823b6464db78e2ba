import Headwater

/// Rows of 8 columns, about 120 bytes, as an import has them: ascending keys, all kinds of scalars.
enum Rows {
  static let schema = """
    schema Bench
    allow everything

    collection Item {
      sku: Text(16) @key
      name: Text(80)
      price: Decimal(12, 2)
      stock: Int
      weight: Float
      active: Bool
      added: Timestamp
      note: Text(200)?
    }
    """

  static func row(_ index: Int) -> Row {
    let digits = String(index)
    let sku = "SKU-" + String(repeating: "0", count: 9 - digits.utf8.count) + digits
    return Row([
      .text(sku), .text("Article number \(digits) of the catalogue"),
      .decimal(ExactDecimal(coefficient: Int128(index % 100_000), scale: 2)!),
      .int(Int64(index % 977)), .float(Double(index % 1_000) / 8), .bool(index % 3 == 0),
      .timestamp(Timestamp(microseconds: 1_700_000_000_000_000 + Int64(index) * 1_000_000)!),
      index % 4 == 0 ? nil : .text("A remark of some length about article \(digits)"),
    ])
  }
}
