#include "portico/wire/proxy_header.hpp"

#include "wire/crc32c.hpp"
#include "wire/proxy_header_samples.hpp"

#include <gtest/gtest.h>

namespace portico::wire {
namespace {

using namespace test;

TEST(crc32c, has_the_known_values) {
    EXPECT_EQ(crc32c{}.value(), 0U);
    EXPECT_EQ(crc32c{}.add(bytes_of("123456789")).value(), 0xe3069283U);
    // RFC 3720 appendix B.4.
    EXPECT_EQ(crc32c{}.add(bytes_of(std::string(32, '\0'))).value(), 0x8a9136aaU);
    EXPECT_EQ(crc32c{}.add(bytes_of(std::string(32, '\xff'))).value(), 0x62a8ab43U);
    std::string rising;
    for (char c = 0; c < 32; ++c) {
        rising += c;
    }
    EXPECT_EQ(crc32c{}.add(bytes_of(rising)).value(), 0x46dd794eU);
}

TEST(crc32c, does_not_see_where_the_pieces_meet) {
    const auto text = "123456789"sv;
    for (std::size_t cut = 0; cut <= text.size(); ++cut) {
        const auto value =
            crc32c{}.add(bytes_of(text.substr(0, cut))).add(bytes_of(text.substr(cut))).value();
        EXPECT_EQ(value, 0xe3069283U);
    }
}

TEST(tlv_list, is_read_in_order) {
    const auto list = tlv_list::from_bytes(bytes_of("\x02\0\x01n\x04\0\0\xe5\0\x02zz\x02\0\x01m"s));
    ASSERT_TRUE(list);
    std::string seen;
    for (const auto each : *list) {
        seen += std::to_string(static_cast<unsigned>(each.type)) + '=' + text_of(each.value) + ' ';
    }
    EXPECT_EQ(seen, "2=n 4= 229=zz 2=m ");
    EXPECT_EQ(text_of(*list->find(tlv_type::authority)), "n");
    EXPECT_TRUE(list->find(tlv_type::noop)->empty());
    EXPECT_EQ(text_of(*list->find(static_cast<tlv_type>(0xe5))), "zz");
    EXPECT_FALSE(list->find(tlv_type::alpn));
}

TEST(tlv_list, that_is_cut_off_is_none) {
    const auto whole = "\x02\0\x01n\x05\0\x03yyy"s;
    for (std::size_t size = 0; size <= whole.size(); ++size) {
        const bool at_an_end = size == 0 || size == 4 || size == whole.size();
        EXPECT_EQ(tlv_list::from_bytes(bytes_of(whole.substr(0, size))).has_value(), at_an_end)
            << size;
    }
}

TEST(tlv_list, is_written_as_it_is_read) {
    tlv_list list;
    EXPECT_TRUE(list.empty());
    EXPECT_EQ(list.begin(), list.end());
    list.append(tlv_type::alpn, "h2");
    list.append(tlv_type::noop, std::string(300, 'x'));
    EXPECT_EQ(text_of(list.bytes()), "\x01\0\x02h2\x04\x01\x2c"s + std::string(300, 'x'));
    EXPECT_EQ(tlv_list::from_bytes(list.bytes()), list);
    list.append(tlv_type::netns, std::string(tlv_list::max_value, 'n'));
    EXPECT_EQ(list.find(tlv_type::netns)->size(), tlv_list::max_value);
}

TEST(tlv_list, an_iterator_moves_on_either_way) {
    const auto list = tlv_list::from_bytes(bytes_of("\x02\0\x01n\x05\0\x03yyy"s)).value();
    auto at = list.begin();
    EXPECT_EQ((*at++).type, tlv_type::authority);
    EXPECT_EQ((*at).type, tlv_type::unique_id);
    EXPECT_EQ(++at, list.end());
}

TEST(ssl_tlv, is_read_as_haproxy_writes_it) {
    const auto tlvs = read(haproxy_ssl).tlvs;
    EXPECT_EQ(text_of(*tlvs.find(tlv_type::alpn)), "h2");
    EXPECT_EQ(text_of(*tlvs.find(tlv_type::authority)), "server.example.org");
    const auto ssl = read_ssl_tlv(*tlvs.find(tlv_type::ssl));
    ASSERT_TRUE(ssl);
    EXPECT_EQ(ssl->client,
              ssl_tlv::over_ssl | ssl_tlv::cert_on_connection | ssl_tlv::cert_in_session);
    EXPECT_EQ(ssl->verify, 0U);
    EXPECT_EQ(text_of(*ssl->parts.find(tlv_type::ssl_version)), "TLSv1.3");
    EXPECT_EQ(text_of(*ssl->parts.find(tlv_type::ssl_cn)), "jane.example.org");
    EXPECT_EQ(text_of(*ssl->parts.find(tlv_type::ssl_cipher)), "TLS_AES_256_GCM_SHA384");
    EXPECT_EQ(text_of(*ssl->parts.find(tlv_type::ssl_sig_alg)), "RSA-SHA256");
    EXPECT_EQ(text_of(*ssl->parts.find(tlv_type::ssl_key_alg)), "RSA2048");
    EXPECT_EQ(text_of(ssl_tlv_value(*ssl)), text_of(*tlvs.find(tlv_type::ssl)));
}

TEST(ssl_tlv, has_five_bytes_and_whole_parts) {
    EXPECT_FALSE(read_ssl_tlv(bytes_of("\x01\0\0\0"s)));
    EXPECT_FALSE(read_ssl_tlv(bytes_of("\x01\0\0\0\0\x21\0"s)));
    EXPECT_FALSE(read_ssl_tlv({}));
    const auto least = read_ssl_tlv(bytes_of("\x01\xde\xad\xbe\xef"s));
    ASSERT_TRUE(least);
    EXPECT_EQ(least->client, ssl_tlv::over_ssl);
    EXPECT_EQ(least->verify, 0xdeadbeefU);
    EXPECT_TRUE(least->parts.empty());
    EXPECT_EQ(text_of(ssl_tlv_value(*least)), "\x01\xde\xad\xbe\xef");
}

TEST(ssl_tlv, says_by_default_that_there_is_no_good_certificate) {
    EXPECT_EQ(text_of(ssl_tlv_value({})), "\0\0\0\0\x01"s);
}

TEST(tlv_type, has_a_text_when_it_is_known) {
    EXPECT_EQ(to_text(tlv_type::alpn), "alpn");
    EXPECT_EQ(to_text(tlv_type::authority), "authority");
    EXPECT_EQ(to_text(tlv_type::crc32c), "crc32c");
    EXPECT_EQ(to_text(tlv_type::noop), "noop");
    EXPECT_EQ(to_text(tlv_type::unique_id), "unique_id");
    EXPECT_EQ(to_text(tlv_type::ssl), "ssl");
    EXPECT_EQ(to_text(tlv_type::ssl_version), "ssl_version");
    EXPECT_EQ(to_text(tlv_type::ssl_cn), "ssl_cn");
    EXPECT_EQ(to_text(tlv_type::ssl_cipher), "ssl_cipher");
    EXPECT_EQ(to_text(tlv_type::ssl_sig_alg), "ssl_sig_alg");
    EXPECT_EQ(to_text(tlv_type::ssl_key_alg), "ssl_key_alg");
    EXPECT_EQ(to_text(tlv_type::netns), "netns");
    EXPECT_EQ(to_text(static_cast<tlv_type>(0xe0)), "");
}

} // namespace
} // namespace portico::wire
