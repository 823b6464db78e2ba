import HeadwaterModel
import Testing

@Suite struct SchemaParseTests {
  @Test func theShopParsesWhole() throws {
    let shop = try Schema.parse(shopText)
    #expect(shop.name == "Shop")
    #expect(shop.enums.map(\.name) == ["Role"])
    #expect(shop.records.map(\.name) == ["Line"])
    #expect(shop.collections.map(\.name) == ["Member", "Product", "Supplier", "Order"])
    #expect(shop.upgradeRules.count == 1)
    let member = try #require(shop.collection(named: "Member"))
    #expect(member.isStrict)
    #expect(member.documentation?.hasPrefix("People") == true)
    let product = try #require(shop.collection(named: "Product"))
    #expect(!product.isStrict)
    #expect(product.fields[2].checks.first?.text == "price >= 0")
    #expect(product.mergeUnits == [[2, 3]])
    let supplier = try #require(shop.collection(named: "Supplier"))
    #expect(supplier.hasGeneratedKey)
    #expect(supplier.fields[0].name == "id")
  }

  @Test func theCanonicalTextIsTheSameSchema() throws {
    let shop = try Schema.parse(shopText)
    let again = try Schema.parse(shop.canonicalText)
    #expect(again == shop)
    #expect(again.canonicalText == shop.canonicalText)
  }
}
