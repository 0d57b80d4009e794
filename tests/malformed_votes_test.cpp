// What a broken file of votes gets told, word for word: file, row, column, and what was expected.
#include <gtest/gtest.h>

#include <ostream>
#include <string>
#include <vector>

#include "agon/data/vote_reader.h"

namespace agon {
namespace {

const std::string kHead =
    "id,model_a,model_b,prompt,response_a,response_b,winner_model_a,winner_model_b,winner_tie\n";
const std::string kGood = "1,m,n,[],[],[],1,0,0\n";
const std::string kShort = "prompt,response_a,response_b,winner\n";

struct Case {
  std::string name;
  std::string bytes;
  std::string message;  ///< The first Error, without "votes: ".
  ReadOptions options = {};
};
void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

std::string first_error(const Case& c) {
  auto reader = VoteReader::open_from_memory(c.bytes, "votes", c.options);
  if (!reader) return reader.error().to_string();
  std::vector<Vote> votes;
  for (;;) {
    const auto got = (*reader)->read(votes, 100);
    if (!got) return got.error().to_string();
    if (*got == 0) return "no error";
  }
}

const std::vector<Case> kCases = {
    // The file and its header
    {"empty", "", "the file is empty"},
    {"blank", "\n \n",
     "missing columns prompt, response_a, response_b, winner_model_a, winner_model_b, winner_tie; found "},
    {"missing_columns", "id,prompt,response_a,winner_model_a,winner_model_b,winner_tie\n",
     "missing column response_b; found id, prompt, response_a, winner_model_a, winner_model_b, winner_tie"},
    {"near_names", "ID,prompt,response a,responseB,winner_model_a,winner_model_b,winner_tie\n",
     "missing columns id, response_a, response_b; found ID, prompt, response a, responseB, winner_model_a, "
     "winner_model_b, winner_tie; is 'ID' meant to be id?; is 'response a' meant to be response_a?; is "
     "'responseB' "
     "meant to be response_b?"},
    {"some_winners", "prompt,response_a,response_b,winner_model_a\n",
     "missing columns winner_model_b, winner_tie; found prompt, response_a, response_b, winner_model_a"},
    {"no_labels", "id,prompt,response_a,response_b\n",
     "missing columns winner_model_a, winner_model_b, winner_tie; found id, prompt, response_a, response_b; "
     "these rows "
     "have no labels"},
    {"twice", "prompt,prompt,response_a,response_b,winner\n", "two columns are named 'prompt'"},
    {"utf16", std::string("\xFF\xFEi\0d\0", 6), "the file is UTF-16 (expected UTF-8)"},
    {"cut_archive", std::string("\x1f\x8b\x08\0\0\0\0\0\0\x03", 10), "byte 10: gzip archive is cut short"},
    // Records
    {"ragged", kHead + kGood + "2,m,n\n",
     "row 2, byte 110: 3 fields where the header has 9 (record on line 3)"},
    {"unterminated", kHead + kGood + "2,m,n,\"[\n\n",
     "row 2, byte 116: unterminated quote, opened on line 3"},
    {"after_quote", kHead + "1,m,n,\"[]\"x,[],[],1,0,0\n",
     "row 1, byte 99: text after a closing quote, on line 2 (expected a comma or the end of the line; quotes "
     "inside a "
     "field are doubled)"},
    {"nul", kHead + std::string("1,m,\0,[],[],[],1,0,0\n", 21),
     "row 1, byte 89: a NUL byte (record on line 2) (expected text in UTF-8)"},
    {"long_row",
     kHead + kGood + "2,m,n,\"" + std::string(5000, 'x') + "\",[],[],1,0,0\n",
     "row 2: longer than 1000 bytes",
     {.max_row_bytes = 1000}},
    {"never_closed",
     kHead + kGood + "2,m,n,\"" + std::string(5000, 'x'),
     "row 2: longer than 1000 bytes; is the quote on line 3 never closed?",
     {.max_row_bytes = 1000}},
    // Texts
    {"plain_text", kShort + "hello,[],[],tie\n",
     "row 1, column 'prompt': not a JSON list of turns (expected [\"turn\", ...]; with --plain-text a cell "
     "is one turn "
     "of plain text)"},
    {"number_in_list", kShort + "[],\"[\"\"a\"\", 1]\",[],tie\n",
     "row 1, column 'response_a': not a JSON list of turns: a number at byte 6 of the cell (expected a "
     "string or null)"},
    {"nested_list", kShort + "[],[],[[]],tie\n",
     "row 1, column 'response_b': not a JSON list of turns: a list inside the list at byte 1 of the cell "
     "(expected a "
     "string or null)"},
    {"cut_list", kShort + "\"[\"\"a\",[],[],tie\n",
     "row 1, column 'prompt': not a JSON list of turns: the end at byte 3 of the cell (expected the closing "
     "quote of a "
     "string)"},
    {"python_list", kShort + "['a'],[],[],tie\n",
     "row 1, column 'prompt': not a JSON list of turns: ''' at byte 1 of the cell (expected a string or "
     "null)"},
    // Winners and weights
    {"no_winner", kHead + kGood + "2,m,n,[],[],[],0,0,0\n",
     "row 2: no winner: winner_model_a, winner_model_b and winner_tie are all 0"},
    {"two_winners", kHead + "1,m,n,[],[],[],0,1,1\n",
     "row 1: two winners: winner_model_b and winner_tie are both 1"},
    {"two_models", kHead + "1,m,n,[],[],[],1,1,0\n",
     "row 1: two winners: winner_model_a and winner_model_b are both 1"},
    {"three_winners", kHead + "1,m,n,[],[],[],1,1,1\n",
     "row 1: three winners: winner_model_a, winner_model_b and winner_tie are all 1"},
    {"soft_label", kHead + "1,m,n,[],[],[],0.5,0.5,0\n",
     "row 1, column 'winner_model_a': '0.5' is neither 0 nor 1"},
    {"nan_label", kHead + "1,m,n,[],[],[],0,nan,1\n",
     "row 1, column 'winner_model_b': 'nan' is neither 0 nor 1"},
    {"empty_label", kHead + "1,m,n,[],[],[],0,1,\n",
     "row 1, column 'winner_tie': no winner: the cell is empty"},
    {"unknown_label", kShort + "[],[],[],left\n",
     "row 1, column 'winner': unknown label 'left' (expected model_a, model_b, tie, tie (bothbad) or "
     "both_bad)"},
    {"weight", "prompt,response_a,response_b,winner,weight\n[],[],[],tie,1\n[],[],[],tie,0\n",
     "row 2, column 'weight': '0' is no weight (expected a finite number above 0)"},
    {"endless_weight", "prompt,response_a,response_b,winner,weight\n[],[],[],tie,inf\n",
     "row 1, column 'weight': 'inf' is no weight (expected a finite number above 0)"},
    // JSON Lines
    {"json_cut", "{\"prompt\":\"p\",\"response_a\":\n",
     "row 1, byte 0: not valid JSON: The JSON document has an improper structure: missing or superfluous "
     "commas, braces, "
     "missing keys, etc."},
    {"json_array_line", "{\"prompt\":\"\",\"response_a\":\"\",\"response_b\":\"\",\"winner\":\"tie\"}\n[1]\n",
     "row 2, byte 61: a list (expected an object with one vote)"},
    {"json_deep", "{\"x\":" + std::string(100, '[') + std::string(100, ']') + "}",
     "row 1, byte 0: not valid JSON: nested deeper than 64 levels"},
    {"json_missing", "{\"prompt\":\"\",\"response_a\":\"\",\"winner\":\"tie\"}",
     "row 1, column 'response_b': missing"},
    {"json_type", "{\"prompt\":\"\",\"response_a\":3,\"response_b\":\"\",\"winner\":\"tie\"}",
     "row 1, column 'response_a': a number (expected a string or a list of strings)"},
    {"json_turn", "{\"prompt\":\"\",\"response_a\":[{}],\"response_b\":\"\",\"winner\":\"tie\"}",
     "row 1, column 'response_a': an object in the list (expected turns that are strings or null)"},
    {"json_twice", "{\"prompt\":\"\",\"prompt\":\"\"}", "row 1, column 'prompt': occurs twice"},
    {"json_no_winner", "{\"prompt\":\"\",\"response_a\":\"\",\"response_b\":\"\"}",
     "row 1: no winner (expected winner, or winner_model_a, winner_model_b and winner_tie)"},
    {"json_role",
     "{\"conversation_a\":[{\"role\":\"judge\",\"content\":\"\"}],\"conversation_b\":[],\"winner\":\"tie\"}",
     "row 1, column 'conversation_a': unknown role 'judge' (expected user, assistant or system)"},
    {"json_one_conversation", "{\"conversation_a\":[],\"winner\":\"tie\"}",
     "row 1, column 'conversation_b': missing"},
    {"json_prompts_differ",
     "{\"conversation_a\":[{\"role\":\"user\",\"content\":\"x\"}],\"conversation_b\":[{\"role\":\"user\","
     "\"content\":\"y\"}],"
     "\"winner\":\"tie\"}",
     "row 1, column 'conversation_b': the user's messages differ from those of conversation_a"},
    {"json_file_cut", "[{\"prompt\":\"\"",
     "row 1, byte 13: the JSON array is cut short (expected ',' or ']')"},
    {"json_long",
     "{\"x\":\"" + std::string(5000, 'x') + "\"}",
     "row 1: longer than 1000 bytes",
     {.max_row_bytes = 1000}},
};

class MalformedVotes : public testing::TestWithParam<Case> {};
INSTANTIATE_TEST_SUITE_P(Table, MalformedVotes, testing::ValuesIn(kCases),
                         [](const auto& info) { return info.param.name; });

TEST_P(MalformedVotes, SaysWhatIsWrong) {
  EXPECT_EQ(first_error(GetParam()), "votes: " + GetParam().message);
}

TEST_P(MalformedVotes, IsPassedOverOrStopsButNeverPasses) {
  Case c = GetParam();
  c.options.skip_bad = true;
  auto reader = VoteReader::open_from_memory(c.bytes, "votes", c.options);
  if (!reader) return;  // a bad header cannot be passed over
  std::vector<Vote> votes;
  for (;;) {
    const auto got = (*reader)->read(votes, 100);
    if (!got) return;  // neither can a source that breaks
    if (*got == 0) break;
  }
  EXPECT_EQ((*reader)->counts().skipped, 1u);
  EXPECT_EQ((*reader)->counts().skip_list.at(0).to_string(), "votes: " + c.message);
}

}  // namespace
}  // namespace agon
