/// Lines of cells under aligned columns. The widths come from the first rows; what is wider later only pushes.
struct TextTable {
  private static let measuredRows = 1_000
  /// On a terminal a longer cell is cut.
  private static let widestCell = 60

  private let header: [String]
  private let isRight: [Bool]
  private let cuts: Bool
  private var widths: [Int]?
  private var waiting: [[String]] = []

  /// - Parameter isRight: which columns are numbers, aligned on the right.
  init(_ header: [String], isRight: [Bool]) {
    self.header = header
    self.isRight = isRight
    cuts = Output.standard.isTerminal
  }

  mutating func add(_ cells: [String]) throws {
    let cells = cells.map(shown)
    if let widths {
      try Output.standard.print(line(cells, widths))
    } else {
      waiting.append(cells)
      if waiting.count == TextTable.measuredRows { try measure() }
    }
  }

  /// Prints what is still waiting.
  mutating func finish() throws {
    if widths == nil { try measure() }
  }

  private mutating func measure() throws {
    var widths = header.map { $0.unicodeScalars.count }
    for cells in waiting {
      for (index, cell) in cells.enumerated() {
        widths[index] = max(widths[index], cell.unicodeScalars.count)
      }
    }
    try Output.standard.print(line(header, widths))
    try Output.standard.print(
      widths.map { String(repeating: "-", count: $0) }.joined(separator: "  "))
    for cells in waiting { try Output.standard.print(line(cells, widths)) }
    waiting = []
    self.widths = widths
  }

  private func line(_ cells: [String], _ widths: [Int]) -> String {
    var text = ""
    for (index, cell) in cells.enumerated() {
      if index > 0 { text += "  " }
      let padding = String(
        repeating: " ", count: max(0, widths[index] - cell.unicodeScalars.count))
      text += isRight[index] ? padding + cell : cell + padding
    }
    while text.utf8.last == 0x20 { text.removeLast() }
    return text
  }

  /// A cell on one line, without what could steer the terminal.
  private func shown(_ cell: String) -> String {
    var out = String.UnicodeScalarView()
    var count = 0
    for scalar in cell.unicodeScalars {
      if cuts, count == TextTable.widestCell {
        out.append("…")
        break
      }
      switch scalar.value {
      case 0x0A: out.append(contentsOf: "\\n".unicodeScalars)
      case 0x0D: out.append(contentsOf: "\\r".unicodeScalars)
      case 0x09: out.append(contentsOf: "\\t".unicodeScalars)
      case 0..<0x20, 0x7F..<0xA0: out.append("\u{FFFD}")
      default: out.append(scalar)
      }
      count += 1
    }
    return String(out)
  }
}
