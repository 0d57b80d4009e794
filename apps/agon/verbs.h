// The verbs of the program; each registers itself and its options, and runs in a callback.
#pragma once

namespace CLI {
class App;
}

namespace agon {

/// `agon train`: learn from votes.
void add_train_command(CLI::App& app, int& exit_code);
/// `agon predict`: probabilities for every row.
void add_predict_command(CLI::App& app, int& exit_code);
/// `agon evaluate`: figures on labelled votes.
void add_evaluate_command(CLI::App& app, int& exit_code);
/// `agon rank`: leaderboards from votes.
void add_rank_command(CLI::App& app, int& exit_code);
/// `agon info`: the card of a model.
void add_info_command(CLI::App& app, int& exit_code);
/// `agon model convert`: models in other formats, to GGUF.
void add_model_command(CLI::App& app, int& exit_code);
/// `agon tokenize`: text to tokens and back.
void add_tokenize_command(CLI::App& app, int& exit_code);
/// `agon generate`: answer a prompt by a language model.
void add_generate_command(CLI::App& app, int& exit_code);
/// `agon chat`: talk with a language model.
void add_chat_command(CLI::App& app, int& exit_code);
/// `agon score`: exact log-probabilities of given texts.
void add_score_command(CLI::App& app, int& exit_code);
/// `agon embed`: hidden states of texts.
void add_embed_command(CLI::App& app, int& exit_code);
/// `agon serve`: models for many clients, over HTTP.
void add_serve_command(CLI::App& app, int& exit_code);
/// `agon bench-model`: the speed of a language model on this machine.
void add_bench_model_command(CLI::App& app, int& exit_code);
/// `agon completion`: completions for a shell.
void add_completion_command(CLI::App& app, int& exit_code);
/// `agon data ...`: what is in files of votes. Callbacks set `exit_code` (0 done, 1 bad data, 2 bad call).
void add_data_command(CLI::App& app, int& exit_code);

}  // namespace agon
