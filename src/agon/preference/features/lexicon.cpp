#include "agon/preference/features/lexicon.h"

namespace agon {
namespace {

void add(PhraseSet& set, Tone tone, std::string_view phrases) {
  set.add(static_cast<std::size_t>(tone), phrases);
}
void add(PhraseSet& set, Ask ask, std::string_view phrases) {
  set.add(static_cast<std::size_t>(ask), phrases);
}

PhraseSet make_tone() {
  PhraseSet s;
  add(s, Tone::kRefusal,
      "i cannot|i can't|i can not|i won't|i will not|i'm unable|i am unable|unable to|not able to|i'm not "
      "able|i am not able|"
      "cannot provide|can't provide|cannot fulfill|can't assist|cannot assist|can't help|cannot help|cannot "
      "generate|"
      "cannot create|not appropriate|inappropriate|against my|not comfortable|i must decline|refuse to|"
      "do not have access|don't have access|don't have the ability|do not have the ability|do not have real "
      "time|"
      "don't have real time|don't have enough information|do not have enough information|not programmed to|"
      "je ne peux pas|ich kann nicht|kann ich nicht|no puedo|n\u00E3o posso|non posso|\u043D\u0435 "
      "\u043C\u043E\u0433\u0443|"
      "\u65E0\u6CD5|\u4E0D\u80FD|\u3067\u304D\u307E\u305B\u3093");
  add(s, Tone::kAiIdentity,
      "as an ai|as a language model|as an artificial intelligence|i'm an ai|i am an ai|i'm just an ai|i am "
      "just an ai|"
      "language model|ai assistant|ai model|openai|my training data|my knowledge cutoff|my last update|as of "
      "my|"
      "don't have personal|do not have personal|als ki|en tant qu'ia|en tant que mod\u00E8le|como "
      "modelo|como um modelo|"
      "como una ia|\u044F\u0437\u044B\u043A\u043E\u0432\u0430\u044F \u043C\u043E\u0434\u0435\u043B\u044C|"
      "\u4F5C\u4E3A\u4E00\u4E2A|\u8BED\u8A00\u6A21\u578B|\u8A00\u8A9E\u30E2\u30C7\u30EB");
  add(s, Tone::kApology,
      "sorry|i apologize|apologies|i'm afraid|i am afraid|my apologies|my mistake|for the confusion|lo "
      "siento|desculpe|"
      "tut mir leid|entschuldigung|je suis d\u00E9sol\u00E9|mi "
      "dispiace|\u0438\u0437\u0432\u0438\u043D\u0438\u0442\u0435|"
      "\u62B1\u6B49|\u5BF9\u4E0D\u8D77|\u7533\u3057\u8A33|\u8B1D\u7F6A");
  add(s, Tone::kHedge,
      "may|might|could|perhaps|possibly|likely|seems|appears|generally|typically|usually|often|sometimes|"
      "tend to|"
      "it depends|depends on|in general|can vary|may vary|it is possible|not necessarily|i think|i "
      "believe|probably|"
      "approximately|roughly");
  add(s, Tone::kCaveat,
      "it's important to|it is important to|important to note|please note|keep in mind|it's worth "
      "noting|note that|"
      "be aware|it's essential|it is essential|consult with|consult a|seek professional|medical advice|legal "
      "advice|"
      "always recommended|however it's|ethical|illegal|harmful|respectful|responsibly|guidelines|il est "
      "important|"
      "es importante|\u00E9 importante|es ist wichtig|\u0432\u0430\u0436\u043D\u043E");
  add(s, Tone::kCourtesy,
      "please|thank you|thanks|you're welcome|i'd be happy|happy to|glad to|hope this helps|hope that helps|"
      "i hope|good luck|enjoy|best regards|sincerely|great question|good question|excellent question");
  add(s, Tone::kOffer,
      "let me know|feel free|would you like|if you have any|any other questions|any further questions|"
      "how can i|can i help|can i assist|may i assist|help you with|assist you|could you please|please "
      "provide|"
      "more information|more context|more details|clarify|do you have|what would you");
  add(s, Tone::kAffirmation,
      "sure|certainly|of course|absolutely|definitely|here is|here's|here are|yes|no problem|"
      "claro|bien s\u00FBr|nat\u00FCrlich|\u043A\u043E\u043D\u0435\u0447\u043D\u043E|\u5F53\u7136");
  add(s, Tone::kFirstPerson, "i|i'm|i've|i'd|i'll|me|my|mine|myself|ich|je|yo|eu|\u044F|\u6211");
  add(s, Tone::kSecondPerson,
      "you|your|you're|yours|yourself|you'll|you've|vous|votre|usted|tu|du|sie|ihr|voc\u00EA|\u0432\u044B|"
      "\u4F60|\u60A8");
  add(s, Tone::kSequence,
      "first|second|third|firstly|secondly|next|then|finally|lastly|step|steps|step 1|begin by|start by");
  add(s, Tone::kConclusion,
      "in conclusion|in summary|to summarize|overall|ultimately|in short|to sum up|therefore|thus|"
      "as a result|in the end|so the answer|the answer is|en resumen|en conclusion|em "
      "resumo|zusammenfassend");
  add(s, Tone::kExample,
      "for example|for instance|e.g|such as|like|including|example|consider|imagine|suppose|"
      "zum beispiel|par exemple|por ejemplo|por "
      "exemplo|\u043D\u0430\u043F\u0440\u0438\u043C\u0435\u0440|\u4F8B\u5982");
  add(s, Tone::kArtefact,
      "user|human|assistant|instruction|response|endoftext|inst|system prompt|output|input|question|answer");
  add(s, Tone::kFunction,
      "the|of|and|to|a|in|that|is|for|on|with|as|by|at|from|it|this|be|are|was|were|or|an|not|but|have|has|"
      "had|which|their|"
      "they|its|can|will|if|there|when|who|what|so|out|up|about|into|than|been|would|all|one|we|our|he|she|"
      "his|her|them|"
      "these|those|some|any|each|no|do|does|did|how|where|why|because|while|during|between|through|after|"
      "before|over|under|"
      "de|la|el|los|las|un|una|en|que|y|es|por|con|para|se|del|al|le|les|des|et|est|dans|pour|une|sur|der|"
      "die|das|und|ist|"
      "den|von|mit|zu|ein|eine|auf|f\u00FCr|im|nicht|o|e|do|da|os|em|um|uma|no|na|com|il|di|che|non|per|"
      "\u0438|\u0432|\u043D\u0435|\u043D\u0430|\u0447\u0442\u043E|\u0441|\u043A\u0430\u043A|"
      "\u044D\u0442\u043E|\u7684|\u4E86|\u662F|\u5728|\u306E|\u306B|\u306F|\u3092");
  add(s, Tone::kContrast,
      "however|although|though|on the other hand|while|whereas|nevertheless|despite|instead|rather|yet|"
      "in contrast|but also|cependant|sin "
      "embargo|jedoch|porem|\u043E\u0434\u043D\u0430\u043A\u043E|\u4F46\u662F");
  add(s, Tone::kReason,
      "because|since|due to|reason|reasons|as a result of|caused by|in order to|so that|means that|this "
      "means|leads to|explain");
  return s;
}

PhraseSet make_ask() {
  PhraseSet s;
  add(s, Ask::kBrief,
      "short|brief|briefly|concise|concisely|one sentence|single sentence|one word|one paragraph|few words|"
      "few sentences|two sentences|three sentences|tl dr|tldr|summarize|summary|summarise|only answer|just "
      "answer|answer only|"
      "only the answer|no explanation|without explanation|don't explain|do not explain|yes or no|true or "
      "false|quick|simple|"
      "50 words|100 words|words or less|in a "
      "sentence|kurz|resumen|breve|bref|resuma|\u043A\u0440\u0430\u0442\u043A\u043E|\u7B80\u77ED");
  add(s, Ask::kLong,
      "detailed|in detail|long|longer|comprehensive|in depth|thorough|elaborate|essay|article|1000 words|"
      "500 words|2000 words|as much as|full|complete|extensive|step by "
      "step|guide|plan|report|chapter|outline|d\u00E9taill\u00E9|detallado|"
      "ausf\u00FChrlich|\u043F\u043E\u0434\u0440\u043E\u0431\u043D\u043E|\u8BE6\u7EC6");
  add(s, Ask::kCode,
      "code|python|javascript|java|c|sql|html|css|function|script|program|algorithm|class|api|regex|bash|"
      "linux|"
      "error|bug|debug|compile|react|typescript|rust|golang|json|query|def|import|return|docker|excel|"
      "formula|latex|library|implement");
  add(s, Ask::kMath,
      "calculate|solve|equation|math|sum|probability|integral|derivative|prove|proof|theorem|how many|how "
      "much|"
      "percent|average|number of|plus|minus|divided|multiply|times|equal|puzzle|riddle|logic");
  add(s, Ask::kCreative,
      "story|poem|write a|song|lyrics|novel|scene|character|dialogue|fiction|haiku|rap|screenplay|script for|"
      "creative|imagine|fanfic|tale|essay|blog|schreibe|escribe|\u00E9cris|escreva|"
      "\u043D\u0430\u043F\u0438\u0448\u0438");
  add(s, Ask::kList,
      "list|top 10|top 5|top "
      "ten|ideas|suggest|suggestions|examples|recommend|recommendations|names|options|ways "
      "to|tips|table|bullet|"
      "compare|comparison|difference between|pros and cons|liste|lista");
  add(s, Ask::kExplain,
      "explain|what is|what are|how does|how do|how to|why|describe|tell me about|what "
      "does|meaning|define|difference|"
      "teach|understand|was ist|qu'est|que es|o que|\u0447\u0442\u043E "
      "\u0442\u0430\u043A\u043E\u0435|\u4EC0\u4E48");
  add(s, Ask::kTranslate,
      "translate|translation|in english|in french|in spanish|in german|in chinese|in japanese|into english|"
      "\u00FCbersetze|traduire|traduce|traduza|\u043F\u0435\u0440\u0435\u0432\u0435\u0434\u0438|"
      "\u7FFB\u8BD1");
  add(s, Ask::kRole,
      "you are|act as|pretend|roleplay|role play|your name|you're a|play the role|persona|from now "
      "on|simulate|"
      "system|assistant|respond as|speak like");
  add(s, Ask::kOpinion,
      "best|better|opinion|think|should i|would you|favorite|favourite|prefer|do you|are "
      "you|feel|believe|who would win|worst|good|bad");
  add(s, Ask::kUnsafe,
      "kill|bomb|sex|sexual|nude|naked|drug|drugs|weapon|hack|murder|suicide|racist|nsfw|porn|illegal|steal|"
      "explicit|hate|violent|violence|poison|gun|erotic|fuck|nazi|terrorist|crack|malware|exploit|offensive|"
      "insult");
  add(s, Ask::kFormat,
      "only|exactly|just|must|format|json|table|csv|markdown|do not|don't|without|ensure|make sure|at "
      "least|no more|following|based on|given");
  add(s, Ask::kRewrite,
      "rewrite|rephrase|improve|edit|correct|proofread|paraphrase|fix|grammar|change|convert|rewrite "
      "this|text below|following text|extract|classify");
  add(s, Ask::kFact,
      "who|when|where|which|what year|who is|who was|capital of|how old|how tall|how far|name "
      "of|wer|qui|quien|quem|\u043A\u0442\u043E");
  add(s, Ask::kHumor,
      "joke|jokes|funny|humor|humorous|fun|pun|sarcastic|witty|meme|comedy|roast|witz|chiste|blague");
  add(s, Ask::kGreeting,
      "hi|hello|hey|hola|bonjour|hallo|ol\u00E1|\u043F\u0440\u0438\u0432\u0435\u0442|\u4F60\u597D|good "
      "morning|how are you|what's up|thanks|thank you");
  return s;
}

}  // namespace

const PhraseSet& tone_phrases() {
  static const PhraseSet set = make_tone();
  return set;
}

const PhraseSet& ask_phrases() {
  static const PhraseSet set = make_ask();
  return set;
}

}  // namespace agon
