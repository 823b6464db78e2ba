import Testing

@Suite struct ImportTests {
  private let table: ImportTable

  /// Modules of the system that any module may use.
  private let everywhere: Set<String> = [
    "Swift", "Glibc", "Musl", "Darwin", "Dispatch", "Synchronization",
  ]
  /// Modules of the system that only some may use.
  private let somewhere: [String: Set<String>] = [
    "Headwater": ["Foundation", "FoundationEssentials"],
    "HeadwaterCommand": ["Foundation", "FoundationEssentials"],
    "AdapterContract": ["Testing"],
  ]

  init() throws {
    table = ImportTable(markdown: try SourceTree.text("Docs/Architecture.md"))
  }

  @Test func theTableIsRead() {
    #expect(table.allowed.count >= 12)
    #expect(table.allowed["HeadwaterModel"] == [])
    #expect(table.allowed["HeadwaterLog"] == ["HeadwaterModel"])
    #expect(table.allowed["SQLiteDriver"] == ["CSQLite"])
  }

  /// Each package that is not ours is for one module, so that it can be replaced there.
  @Test func otherPackagesStayWhereTheyBelong() {
    for (external, home) in [
      ("ArgumentParser", "HeadwaterCommand"), ("NIOCore", "HeadwaterMesh"),
      ("NIOPosix", "HeadwaterMesh"),
    ] {
      let users = table.allowed.filter { $0.value.contains(external) }.keys
      #expect(Set(users) == [home], "\(external)")
    }
  }

  @Test func everyImportIsInTheTable() throws {
    #expect(SourceTree.sources.count > 20)
    for path in SourceTree.sources {
      let module = SourceTree.module(of: path)
      let allowed = (table.allowed[module] ?? [])
        .union(everywhere).union(somewhere[module] ?? [])
      for (imported, line) in SwiftCode(try SourceTree.text(path)).imports {
        #expect(
          allowed.contains(imported) || imported == module,
          "\(path):\(line): \(module) may not import \(imported): see Docs/Architecture.md")
      }
    }
  }

  @Test func theTableNamesTheModulesThatThereAre() {
    let modules = Set(SourceTree.sources.map(SourceTree.module(of:)))
    #expect(Set(table.allowed.keys) == modules)
  }

  /// What an adapter must not know: were one of these reachable, verdicts would leak into sinks.
  @Test func adaptersCannotReachTheLogOrTheStore() {
    for module in [
      "HeadwaterMemory", "HeadwaterSQLite", "HeadwaterRelational", "HeadwaterDocuments",
      "HeadwaterMongoDB", "HeadwaterPostgres", "AdapterContract",
    ] {
      var reached: Set<String> = [module]
      var pending = [module]
      while let next = pending.popLast() {
        for imported in table.allowed[next] ?? [] where reached.insert(imported).inserted {
          pending.append(imported)
        }
      }
      #expect(reached.isDisjoint(with: ["HeadwaterLog", "HeadwaterStore", "Headwater"]))
    }
  }

  @Test func theParserSeesImportsAsTheCompilerDoes() {
    let code = SwiftCode(
      """
      import A
      @testable import B
        @preconcurrency public import struct C.D // import X
      // import X
      /* import X
         import X /* */
         import X */
      #if canImport(E)
      import E
      #endif
      let text = ""\u{22}
        import X
        ""\u{22}
      let other = "\\" import X"
      @_spi(Some) internal import F.G
      important X
      """)
    #expect(code.imports.map(\.module) == ["A", "B", "C", "E", "F"])
    #expect(code.imports.map(\.line) == [1, 2, 3, 9, 15])
  }
}
