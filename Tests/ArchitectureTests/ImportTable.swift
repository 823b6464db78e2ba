/// Who may import whom: the table of Docs/Architecture.md.
struct ImportTable {
  let allowed: [String: Set<String>]

  /// Reads the rows `| `Module` | `Import`, … |` of the table under "Who may import whom".
  init(markdown: String) {
    var allowed: [String: Set<String>] = [:]
    var isInSection = false
    for line in markdown.split(separator: "\n") {
      if line.hasPrefix("#") { isInSection = line.contains("Who may import whom") }
      guard isInSection, line.hasPrefix("| `") else { continue }
      let cells = line.split(separator: "|", omittingEmptySubsequences: false)
      guard cells.count == 4, let module = ImportTable.names(cells[1]).first else { continue }
      allowed[module] = Set(ImportTable.names(cells[2]))
    }
    self.allowed = allowed
  }

  private static func names(_ cell: Substring) -> [String] {
    cell.split(separator: "`", omittingEmptySubsequences: false).enumerated()
      .filter { $0.offset % 2 == 1 }.map { String($0.element) }
  }
}
