#include "jobs/report/html.hpp"

#include <cmath>

#include "base/text.hpp"

namespace meshfold::jobs {
namespace {

constexpr const char* kStyle = R"css(
:root{--bg:#f7f8fa;--card:#fff;--ink:#1b1f24;--soft:#5c6670;--line:#dfe3e8;--p0:#2563c9;--p1:#c2570c;--p2:#15803d;--p3:#b4235a;
--p4:#6d3fc0;--p5:#0e7c86;--p6:#8a6d00;--p7:#64748b}
@media (prefers-color-scheme:dark){:root{--bg:#14171b;--card:#1d2126;--ink:#e8eaed;--soft:#a0a9b3;--line:#343a42;--p0:#78aaff;
--p1:#ffa35c;--p2:#5fd38a;--p3:#ff86b0;--p4:#b99cff;--p5:#53d3dd;--p6:#e3c44e;--p7:#a8b5c7}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--ink);font:15px/1.5 system-ui,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
main{max-width:1160px;margin:0 auto;padding:28px 16px 48px}
h1{font-size:26px;line-height:1.2;margin:0 0 18px;overflow-wrap:anywhere} h2{font-size:17px;margin:0 0 10px;overflow-wrap:anywhere}
section{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:16px 18px;margin:0 0 16px;min-width:0}
.hero{display:flex;flex-wrap:wrap;gap:10px 44px;align-items:baseline} .hero b{display:block;font-size:34px;line-height:1.15}
.hero span{color:var(--soft)} .pair{display:grid;grid-template-columns:1fr 1fr;gap:0 16px}
.scroll{overflow-x:auto} table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{padding:6px 10px;text-align:right;border-bottom:1px solid var(--line);white-space:nowrap}
th:first-child,td:first-child{text-align:left;padding-left:0} th{font-weight:600;color:var(--soft)}
tr.sum td{font-weight:600} tr.sum:not(tr.sum + tr.sum) td{border-top:2px solid var(--line)} tr:last-child td{border-bottom:0}
.facts td{text-align:left;white-space:normal;vertical-align:top;overflow-wrap:anywhere} .facts td:first-child{color:var(--soft);width:30%;
min-width:110px} pre{margin:0;overflow-x:auto;font:13px/1.45 ui-monospace,"DejaVu Sans Mono",monospace} summary{cursor:pointer;font-weight:600}
details[open] summary{margin-bottom:10px}
svg{display:block;width:100%;height:auto;max-width:620px} svg text{font-size:14px;fill:var(--soft)} .grid{stroke:var(--line)}
.axis{stroke:var(--soft)} .level{stroke:var(--soft);stroke-dasharray:5 4} .line{fill:none;stroke-width:2.2;stroke-linejoin:round}
.faint{stroke-width:1;opacity:.3} .touch{opacity:0} .touch:hover{opacity:1} .dot:hover{stroke:var(--ink);stroke-width:2}
.cloud{fill:none;stroke:var(--p0);stroke-width:4;stroke-linecap:round;stroke-opacity:.4} .cell{fill:var(--p0)} .bar{fill:var(--p0)}
.legend{display:flex;flex-wrap:wrap;gap:2px 16px;margin:0 0 6px;color:var(--soft)} .legend i{display:inline-block;width:12px;height:12px;
border-radius:3px;margin-right:6px;vertical-align:-1px} .note,.empty{color:var(--soft);margin:8px 0 0}
.matrix td,.matrix th{text-align:center} .matrix td{background:color-mix(in srgb,var(--p0) var(--share,0%),transparent)}
.worst{list-style:none;margin:0;padding:0} .worst li{border-bottom:1px solid var(--line);padding:8px 0} .worst li:last-child{border-bottom:0}
.worst div{display:flex;flex-wrap:wrap;gap:0 18px;color:var(--soft)} .worst b{color:var(--ink)} .worst p{margin:2px 0 0;overflow-wrap:anywhere}
.c0{--c:var(--p0)}.c1{--c:var(--p1)}.c2{--c:var(--p2)}.c3{--c:var(--p3)}.c4{--c:var(--p4)}.c5{--c:var(--p5)}.c6{--c:var(--p6)}.c7{--c:var(--p7)}
polyline{stroke:var(--c)} circle{fill:var(--c)} .legend i{background:var(--c)}
@media (max-width:760px){main{padding:18px 10px 32px}.pair{grid-template-columns:minmax(0,1fr)}section{padding:14px 12px}h1{font-size:22px}
.hero b{font-size:28px}}
)css";

}  // namespace

std::string html_escaped(const std::string& text) {
  std::string escaped;
  for (const char c : text) {
    switch (c) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      default:
        escaped += c;
    }
  }
  return escaped;
}

std::string html_page(const std::string& title, const std::string& body) {
  const std::string escaped = html_escaped(title);
  return "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>" + escaped +
         "</title><meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><meta name=\"color-scheme\" "
         "content=\"light dark\"><style>" +
         kStyle + "</style></head><body><main><h1>" + escaped + "</h1>\n" + body + "</main></body></html>\n";
}

std::string html_section(const std::string& title, const std::string& body) {
  return "<section><h2>" + html_escaped(title) + "</h2>" + body + "</section>\n";
}

std::string html_grid(const std::vector<std::string>& sections) {
  std::string html;
  for (const auto& section : sections) html += section;
  return html.empty() ? html : "<div class=\"pair\">" + html + "</div>\n";
}

std::string html_note(const std::string& text) { return "<p class=\"note\">" + html_escaped(text) + "</p>"; }

std::string html_table(const std::vector<std::string>& header, const std::vector<std::vector<std::string>>& rows,
                       std::size_t num_sums) {
  std::string html = "<div class=\"scroll\"><table><thead><tr>";
  for (const auto& cell : header) html.append("<th scope=\"col\">").append(html_escaped(cell)).append("</th>");
  html += "</tr></thead><tbody>";
  for (std::size_t row = 0; row < rows.size(); ++row) {
    html += row + num_sums >= rows.size() ? "<tr class=\"sum\">" : "<tr>";
    for (const auto& cell : rows[row]) html.append("<td>").append(html_escaped(cell)).append("</td>");
    html += "</tr>";
  }
  return html + "</tbody></table></div>";
}

std::string html_facts(const std::vector<std::pair<std::string, std::string>>& pairs) {
  std::string html = "<table class=\"facts\"><tbody>";
  for (const auto& [label, value] : pairs) {
    html.append("<tr><td>")
        .append(html_escaped(label))
        .append("</td><td>")
        .append(html_escaped(value))
        .append("</td></tr>");
  }
  return html + "</tbody></table>";
}

std::string html_legend(const std::vector<std::string>& names) {
  std::string html = "<div class=\"legend\">";
  for (std::size_t i = 0; i < names.size(); ++i) {
    html += "<span><i class=\"c" + std::to_string(i % 8) + "\"></i>" + html_escaped(names[i]) + "</span>";
  }
  return html + "</div>";
}

std::string html_details(const std::string& summary, const std::string& body) {
  return "<section><details><summary>" + html_escaped(summary) + "</summary>" + body + "</details></section>\n";
}

std::string short_number(double value) {
  if (!std::isfinite(value)) return "n/a";
  const double size = std::abs(value);
  if (size >= 1e6 && size < 1e12) return base::format("%.5gM", value / 1e6);
  if (size >= 1e5 && size < 1e6) return base::format("%.5gk", value / 1e3);
  // Learning rates: 1.5e-04 fits a chart's margin, 0.00015 does not.
  return base::format(value != 0 && size < 1e-3 ? "%.1e" : "%.5g", value);
}

std::string fixed_number(double value, int digits) {
  return std::isfinite(value) ? base::format("%.*f", digits, value) : "n/a";
}

}  // namespace meshfold::jobs
