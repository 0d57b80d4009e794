// Small words by which languages of Latin script are told apart; folded (text/fold.h), so that "l'eau"
// is "l eau" and "don't" is "don t". Words that several languages share count for each of them less.
#pragma once

#include <string_view>

namespace agon {

struct LanguageWords {
  std::string_view language;
  std::string_view words;    ///< separated by spaces
  std::string_view letters;  ///< letters that few others write, UTF-8, not separated
};

// clang-format off
inline constexpr LanguageWords kLatinLanguages[] = {
    {"en",
     "the of and to a i am s re ve in is are was were be been that this these those it its for with as on at by from what how "
     "why who which when where you your i my me we our they their he she his her can could would should will do "
     "does did have has had not don t if or an about write explain give tell make create list please hello hi "
     "there between into than more most some any all very like best me good using use find show help want need "
     "story poem code solve describe build generate provide summarize compare day people time know think work "
     "going tell them only each one two new step words write following question answer", ""},
    {"de",
     "der die das den dem des und ist sind war ein eine einen einem einer eines nicht mit auf für von zu zum zur "
     "im in am an bei aus nach über wie was warum wer wo wann welche welcher ich du er sie es wir ihr mein dein "
     "kannst kann bitte schreibe schreib erkläre erklär gib mir mich dich auch oder aber wenn dass als noch nur "
     "sich werden wird hat haben sein mein gibt hallo zwischen", "ß"},
    {"fr",
     "le la les un une des du de et est sont était l d qu c j n s que qui quoi quel quelle quels quelles comment "
     "pourquoi où quand je tu il elle nous vous ils elles mon ma mes ton ta votre vos pour avec dans sur par en "
     "au aux ne pas plus ou mais si ce cette ces son sa ses leur être avoir fait faire écris écrire explique "
     "expliquer donne moi peux pouvez bonjour merci entre", "œç"},
    {"es",
     "el la los las un una unos unas de del y es son era que qué quién cómo cuál cuáles por para con en al lo se "
     "no su sus mi mis tu tus yo él ella nosotros ellos me te le les nos este esta estos estas eso pero más muy "
     "si sí o como cuando dónde donde porque hay ser estar tiene hacer puedes escribe explica dime dame hola forma "
     "dos podemos "
     "gracias entre sobre", "ñ"},
    {"pt",
     "o os a as um uma uns umas de do da dos das e é são era que quem como qual quais por para com em no na nos "
     "nas ao à se não seu sua seus suas meu minha eu você ele ela nós eles me te lhe este esta isso mas mais "
     "muito ou quando onde porque há ser estar tem fazer pode escreva escreve explique crie faça olá obrigado "
     "entre sobre pelo pela", "ãõ"},
    {"it",
     "il lo la i gli le un uno una di del dello della dei degli delle e è sono era che chi cosa come quale quali "
     "per con in nel nella sul su al alla da dal dalla si non suo sua mio mia io tu lui lei noi voi loro mi ti "
     "ci questo questa ma più molto o se quando dove perché essere avere ha fare puoi scrivi spiega dammi dimmi "
     "ciao grazie tra anche l d", ""},
    {"nl",
     "de het een en is zijn was van in op aan voor met te bij uit naar over door om als dat die dit deze niet wat "
     "hoe waarom wie waar wanneer welke ik jij je hij zij we wij jullie mijn jouw kun kan kunt geef schrijf leg "
     "mij maar ook of er nog wel geen worden wordt heeft hebben tussen alstublieft hallo maak", ""},
    {"pl",
     "i w na z do nie się jest są był to że co jak dlaczego kto gdzie kiedy jaki jaka jakie czy dla od po za przez "
     "o ale lub oraz ja ty on ona my wy mój moja mi mnie ten ta te tego jest być ma napisz wyjaśnij podaj proszę "
     "cześć opowiedz między", "łżśźćąęń"},
    {"cs",
     "a v na z do se je jsou byl to že co jak proč kdo kde kdy jaký jaká jaké pro od po za přes o ale nebo já ty "
     "on ona my vy můj moje mi mně ten ta tento být má není napiš vysvětli prosím ahoj mezi který která které "
     "si s ve jsem", "řěů"},
    {"sv",
     "och att det är en ett som på av för med till den de inte om har var jag du han hon vi ni mitt min din kan "
     "hur vad varför vem när eller men från så ska skriv dikt förklara ge mig hej mellan vilka vilken sig också", "å"},
    {"da",
     "og at det er en et som på af for med til den de ikke om har var jeg du han hun vi min din kan hvordan hvad "
     "hvorfor hvem hvornår eller men fra så skal skriv forklar giv mig hej mellem hvilke hvilken sig også nogle "
     "hvor kort", "øæå"},
    {"no",
     "og å at det er en et som på av for med til den de ikke om har var jeg du han hun vi min din kan hvordan hva "
     "hvorfor hvem når eller men fra så skal skriv forklar gi meg hei mellom hvilke hvilken seg også noen hvor "
     "kort", "øæå"},
    {"fi",
     "ja on ei se että en mikä mitä miten miksi kuka missä milloin minä sinä hän me te he tämä tuo oli ovat ole "
     "voi kun jos mutta tai kuin myös kirjoita selitä anna minulle kerro hei kiitos sekä olla välillä", "ä"},
    {"hu",
     "a az és hogy nem is egy van volt mi mit hogyan miért ki hol mikor melyik én te ő mi ti ők ez de vagy ha mint "
     "csak meg már írj magyarázd el kérlek szia nekem között lehet kell", "őű"},
    {"ro",
     "și si în in de la cu pe un o este sunt era ce cum cine unde când care pentru nu se din să sa mai al a ale "
     "lui eu tu el ea noi voi mi îmi te dar sau dacă scrie explică dă spune mi bună între despre fi", "țșăţş"},
    {"tr",
     "ve bir bu da de için ne nasıl neden kim nerede hangi mi mı mu mü ile çok daha ben sen o biz siz ama veya gibi "
     "olan olarak var yok bana yaz açıkla ver anlat lütfen merhaba nedir arasındaki kadar en şu ya", "ğış"},
    {"id",
     "dan yang di ke dari untuk dengan adalah ini itu apa bagaimana mengapa kenapa siapa kapan mana tidak bisa "
     "akan pada saya aku kamu anda kami kita dia mereka atau tetapi jika sebuah seorang oleh juga buatkan buat "
     "tuliskan tulis jelaskan berikan tolong halo antara dalam tentang sudah", ""},
    {"vi",
     "và là của có không cho một những các được trong với này đó gì như thế nào tại sao ai ở khi tôi bạn anh em "
     "hãy viết giải thích về để từ người xin chào hay hoặc", "đơưạảấầẩẫậắằẳẵặẹẻẽếềểễệỉịọỏốồổỗộớờởỡợụủứừửữựỳỵỷỹ"},
    {"ca",
     "el la els les un una uns unes de del dels i és són era que què qui com quin quina per amb en al no es seu "
     "seva meu meva jo tu ell ella nosaltres aquest aquesta això però més molt o si quan on perquè hi ha ser fer "
     "pots escriu explica dona m digues hola gràcies entre sobre l d", ""},
};
// clang-format on

}  // namespace agon
