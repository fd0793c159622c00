// Reads the text format of Prometheus, version 0.0.4, as strictly as promtool does.
#pragma once

#include <cctype>
#include <cmath>
#include <cstdlib>
#include <map>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>

namespace portico {

class prometheus_text {
public:
    using labels = std::map<std::string, std::string>;

    // Throws std::runtime_error with the line and what is wrong with it.
    explicit prometheus_text(const std::string& text) {
        if (!text.empty() && text.back() != '\n') {
            throw std::runtime_error{"the last line has no end"};
        }
        for (std::size_t at = 0; at < text.size();) {
            const auto end = text.find('\n', at);
            line_ = text.substr(at, end - at);
            at_ = 0;
            read_line();
            at = end + 1;
        }
        finish_family();
    }

    // The value of one series; nan when there is none.
    [[nodiscard]] double value(const std::string& name, const labels& with = {}) const {
        const auto found = values_.find({name, with});
        return found == values_.end() ? std::strtod("nan", nullptr) : found->second;
    }
    [[nodiscard]] std::size_t size() const { return values_.size(); }
    // Those of one name.
    [[nodiscard]] std::size_t count(const std::string& name) const {
        std::size_t sum = 0;
        for (const auto& each : values_) {
            sum += each.first.first == name ? 1U : 0U;
        }
        return sum;
    }

private:
    [[noreturn]] void fail(const std::string& what) const {
        throw std::runtime_error{what + ": " + line_};
    }
    void want(bool holds, const char* what) const {
        if (!holds) {
            fail(what);
        }
    }

    void read_line() {
        if (line_.starts_with("# HELP ")) {
            finish_family();
            at_ = 7;
            family_ = read_name(true);
            want(helped_.insert(family_).second, "a second HELP");
            want(at_ + 1 < line_.size() && line_[at_] == ' ', "an empty HELP");
            type_.clear();
        } else if (line_.starts_with("# TYPE ")) {
            at_ = 7;
            want(read_name(true) == family_ && type_.empty(), "TYPE is not behind its HELP");
            type_ = line_.substr(at_ + 1);
            want(type_ == "counter" || type_ == "gauge" || type_ == "histogram", "no such type");
            want(type_ != "counter" || family_.ends_with("_total"), "a counter without _total");
        } else {
            read_sample();
        }
    }

    std::string read_name(bool colons) {
        const auto begin = at_;
        while (at_ < line_.size() && (std::isalnum(static_cast<unsigned char>(line_[at_])) != 0 ||
                                      line_[at_] == '_' || (colons && line_[at_] == ':'))) {
            ++at_;
        }
        want(at_ != begin && std::isdigit(static_cast<unsigned char>(line_[begin])) == 0,
             "a name is wrong");
        return line_.substr(begin, at_ - begin);
    }

    char next() {
        want(at_ < line_.size(), "the line is too short");
        return line_[at_++];
    }

    std::string read_quoted() {
        want(next() == '"', "a value without quotes");
        std::string made;
        for (char each = next(); each != '"'; each = next()) {
            if (each == '\\') {
                const char escaped = next();
                want(escaped == '\\' || escaped == '"' || escaped == 'n', "no such escape");
                each = escaped == 'n' ? '\n' : escaped;
            }
            want(static_cast<unsigned char>(each) < 0x80, "not ASCII");
            made += each;
        }
        return made;
    }

    labels read_labels() {
        labels made;
        if (at_ >= line_.size() || line_[at_] != '{') {
            return made;
        }
        for (++at_;;) {
            auto name = read_name(false);
            want(next() == '=', "a label without '='");
            want(made.emplace(std::move(name), read_quoted()).second, "a label twice");
            const char after = next();
            if (after == '}') {
                return made;
            }
            want(after == ',', "labels without ','");
        }
    }

    void read_sample() {
        const auto name = read_name(true);
        const auto with = read_labels();
        want(next() == ' ', "no space before the value");
        char* end = nullptr;
        const double value = std::strtod(line_.c_str() + at_, &end);
        want(end == line_.c_str() + line_.size() && at_ < line_.size(), "the value is no number");
        want(!type_.empty() && name.starts_with(family_), "a sample outside of its family");
        const auto suffix = name.substr(family_.size());
        want(type_ == "histogram" ? suffix == "_bucket" || suffix == "_sum" || suffix == "_count"
                                  : suffix.empty(),
             "a sample that its type does not have");
        want(type_ == "gauge" || value >= 0, "a counter below zero");
        want(values_.emplace(std::pair{name, with}, value).second, "a series twice");
        if (suffix == "_bucket") {
            add_bucket(with, value);
        } else if (suffix == "_count") {
            want(infinite_.contains(with) && infinite_.at(with) == value, "+Inf is not the count");
        } else if (suffix == "_sum") {
            ++sums_;
        }
    }

    void add_bucket(labels with, double value) {
        want(with.contains("le"), "a bucket without le");
        const auto limit = std::strtod(with.at("le").c_str(), nullptr); // "+Inf" too
        with.erase("le");
        const auto before = limits_.find(with);
        if (before != limits_.end()) {
            want(before->second.first < limit, "buckets out of order");
            want(before->second.second <= value, "buckets are not cumulative");
        }
        limits_[with] = {limit, value};
        if (limit == HUGE_VAL) {
            infinite_[with] = value;
        }
    }

    void finish_family() {
        want(limits_.size() == infinite_.size() && sums_ == infinite_.size(),
             "a histogram without +Inf or sum");
        limits_.clear();
        infinite_.clear();
        sums_ = 0;
    }

    std::string line_;
    std::size_t at_ = 0;
    std::string family_;
    std::string type_;
    std::set<std::string> helped_;
    std::map<std::pair<std::string, labels>, double> values_;
    std::map<labels, std::pair<double, double>> limits_; // of the last bucket, and its value
    std::map<labels, double> infinite_;
    std::size_t sums_ = 0;
};

} // namespace portico
