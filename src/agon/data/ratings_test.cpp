#include "agon/data/ratings.h"

#include <gtest/gtest.h>

#include <fstream>

#include "agon/base/test_folder.h"

namespace agon {
namespace {

std::string path() {
  static const TempFolder folder;
  return folder / "ratings.csv";
}

Result<Ratings> read(const std::string& text) {
  std::ofstream(path(), std::ios::binary) << text;
  return read_ratings(path());
}
std::string error_of(const std::string& text) {
  const auto ratings = read(text);
  return ratings ? "no error" : ratings.error().to_string().substr(path().size() + 2);
}

TEST(Ratings, ReadsModelAndRatingWhateverElseIsThere) {
  const Ratings expected = {{"gpt-4, 0613", 1162.5}, {"llama", -3}};
  EXPECT_EQ(read("rank,model,rating,lower\n1,\"gpt-4, 0613\",1162.5,1150\n2,llama,-3,\n"), expected);
  EXPECT_EQ(read("elo,model\n1162.5,\"gpt-4, 0613\"\n-3,llama\n"), expected);
  EXPECT_EQ(read("model,score,elo\n\"gpt-4, 0613\",1162.5,x\nllama,-3,y\n"), expected);
}

TEST(Ratings, ReadsTheBundledLeaderboard) {
  const auto ratings = read_ratings(std::string(AGON_SOURCE_DIR) + "/data/ratings/arena_2024-08-14.csv");
  ASSERT_TRUE(ratings) << ratings.error().to_string();
  EXPECT_EQ(ratings->size(), 129u);
  EXPECT_NEAR(ratings->at("mixtral-8x7b-instruct-v0.1"), 1114, 0.01);
}

TEST(Ratings, RefusesWhatIsNone) {
  EXPECT_EQ(error_of(""), "the file is empty");
  EXPECT_EQ(error_of("model,rating\n"), "no ratings in the file");
  EXPECT_EQ(error_of("name,rating\na,1\n"),
            "missing column model; found name, rating (expected model and one of rating, score, elo)");
  EXPECT_EQ(error_of("model,points\na,1\n"),
            "missing column rating; found model, points (expected model and one of rating, score, elo)");
  EXPECT_EQ(error_of("model,rating\na,1\nb,nan\n"),
            "row 2, column 'rating': 'nan' is no rating (expected a finite number)");
  EXPECT_EQ(error_of("model,elo\na,1e999\n"),
            "row 1, column 'elo': '1e999' is no rating (expected a finite number)");
  EXPECT_EQ(error_of("model,rating\na,1\na,2\n"), "row 2, column 'model': model 'a' occurs twice");
  EXPECT_EQ(error_of("model,rating\n,1\n"), "row 1, column 'model': empty model name");
}

}  // namespace
}  // namespace agon
