#include "agon/text/language.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

namespace agon {
namespace {

struct Sample {
  const char* language;
  const char* text;
};

/// Short sentences as people type them to a chat; four or more of each major language.
constexpr Sample kSamples[] = {
    {"en", "What is the capital of France?"},
    {"en", "write a python function to sort a list"},
    {"en", "Explain quantum entanglement like I'm five"},
    {"en", "hello, how are you?"},
    {"en", "Who won the world cup in 2018"},
    {"en", "Give me 10 names for a coffee shop"},
    {"en", "Translate \"guten Morgen\" and \"bonne nuit\" to English please, and explain the difference"},
    {"en", "fix my code: ```def f(x): return der die das```"},
    {"de", "Was ist die Hauptstadt von Frankreich?"},
    {"de", "Schreibe ein Gedicht über den Herbst"},
    {"de", "Erkläre mir die Relativitätstheorie in einfachen Worten"},
    {"de", "Wie geht es dir?"},
    {"de", "Wer hat die Fußballweltmeisterschaft 2014 gewonnen?"},
    {"de", "Kannst du mir bitte helfen, eine E-Mail an meinen Chef zu schreiben?"},
    {"fr", "Quelle est la capitale de l'Allemagne ?"},
    {"fr", "Écris un poème sur la mer"},
    {"fr", "Explique-moi la théorie de la relativité simplement"},
    {"fr", "Comment faire une tarte aux pommes ?"},
    {"fr", "Bonjour, pouvez-vous m'aider à rédiger une lettre ?"},
    {"fr", "Qui a gagné la coupe du monde en 2018 ?"},
    {"es", "¿Cuál es la capital de Francia?"},
    {"es", "Escribe un poema sobre el mar"},
    {"es", "Explica la teoría de la relatividad de forma sencilla"},
    {"es", "Hola, ¿cómo estás?"},
    {"es", "Dame diez nombres para una cafetería"},
    {"es", "¿Quién ganó el mundial de fútbol en 2010?"},
    {"pt", "Qual é a capital da França?"},
    {"pt", "Escreva um poema sobre o mar"},
    {"pt", "Explique a teoria da relatividade de forma simples"},
    {"pt", "Olá, como você está?"},
    {"pt", "Quem ganhou a copa do mundo em 2002? Não sei a resposta"},
    {"pt", "Como fazer um bolo de chocolate em casa"},
    {"it", "Qual è la capitale della Francia?"},
    {"it", "Scrivi una poesia sul mare"},
    {"it", "Spiega la teoria della relatività in modo semplice"},
    {"it", "Ciao, come stai?"},
    {"it", "Chi ha vinto i mondiali nel 2006?"},
    {"it", "Come si fanno gli spaghetti alla carbonara?"},
    {"nl", "Wat is de hoofdstad van Frankrijk?"},
    {"nl", "Schrijf een gedicht over de zee"},
    {"nl", "Leg de relativiteitstheorie uit in eenvoudige woorden"},
    {"nl", "Hoe gaat het met je?"},
    {"nl", "Kun je mij helpen met het schrijven van een brief?"},
    {"nl", "Wie heeft het WK van 2014 gewonnen?"},
    {"pl", "Jaka jest stolica Francji?"},
    {"pl", "Napisz wiersz o morzu"},
    {"pl", "Wyjaśnij teorię względności w prosty sposób"},
    {"pl", "Cześć, jak się masz?"},
    {"pl", "Kto wygrał mistrzostwa świata w 2018 roku?"},
    {"cs", "Jaké je hlavní město Francie?"},
    {"cs", "Napiš báseň o moři"},
    {"cs", "Vysvětli mi teorii relativity jednoduše, prosím"},
    {"cs", "Kdo vyhrál mistrovství světa v hokeji?"},
    {"sv", "Vad är huvudstaden i Frankrike?"},
    {"sv", "Skriv en dikt om havet"},
    {"sv", "Förklara relativitetsteorin på ett enkelt sätt"},
    {"sv", "Hej, hur mår du? Jag vill lära mig svenska"},
    {"da", "Hvad er hovedstaden i Frankrig?"},
    {"da", "Forklar mig hvorfor himlen er blå, og giv et eksempel af dine egne"},
    {"da", "Skriv et digt om havet af nogle linjer"},
    {"no", "Hva er hovedstaden i Frankrike?"},
    {"no", "Gi meg noen tips til hvordan jeg kan lære å programmere"},
    {"no", "Forklar forskjellen mellom vær og klima, hva er det?"},
    {"fi", "Mikä on Ranskan pääkaupunki?"},
    {"fi", "Kirjoita runo merestä"},
    {"fi", "Selitä minulle suhteellisuusteoria yksinkertaisesti"},
    {"fi", "Hei, mitä kuuluu?"},
    {"hu", "Mi Franciaország fővárosa?"},
    {"hu", "Írj egy verset a tengerről"},
    {"hu", "Magyarázd el a relativitáselméletet egyszerűen"},
    {"ro", "Care este capitala Franței?"},
    {"ro", "Scrie o poezie despre mare"},
    {"ro", "Explică teoria relativității pe înțelesul tuturor"},
    {"tr", "Fransa'nın başkenti neresi?"},
    {"tr", "Deniz hakkında bir şiir yaz"},
    {"tr", "Görelilik teorisini basit bir dille açıkla"},
    {"tr", "Merhaba, nasılsın?"},
    {"tr", "Yapay zeka nedir ve nasıl çalışır?"},
    {"id", "Apa ibu kota Prancis?"},
    {"id", "Tuliskan puisi tentang laut"},
    {"id", "Jelaskan teori relativitas dengan bahasa yang sederhana"},
    {"id", "Halo, bagaimana kabar kamu?"},
    {"id", "Buatkan saya resep nasi goreng"},
    {"vi", "Thủ đô của Pháp là gì?"},
    {"vi", "Viết một bài thơ về biển"},
    {"vi", "Giải thích thuyết tương đối một cách đơn giản"},
    {"vi", "Xin chào, bạn khỏe không?"},
    {"ca", "Quina és la capital de França?"},
    {"ca", "Escriu un poema sobre el mar amb aquest estil"},
    {"ru", "Какая столица Франции?"},
    {"ru", "Напиши стихотворение о море"},
    {"ru", "Объясни теорию относительности простыми словами"},
    {"ru", "Привет, как дела?"},
    {"ru", "Кто выиграл чемпионат мира в 2018 году"},
    {"ru", "Расскажи мне про Python и его библиотеки"},
    {"uk", "Яка столиця Франції?"},
    {"uk", "Напиши вірш про море"},
    {"uk", "Поясни теорію відносності простими словами"},
    {"uk", "Привіт, як справи?"},
    {"uk", "Що таке штучний інтелект?"},
    {"bg", "Коя е столицата на Франция?"},
    {"bg", "Какво е изкуствен интелект?"},
    {"bg", "Обясни ми теорията на относителността със свои думи, моля"},
    {"sr", "Који је главни град Француске?"},
    {"sr", "Објасни ми теорију релативности"},
    {"be", "Якая сталіца Францыі? Раскажы мне, калі ласка, пра ўсё"},
    {"kk", "Францияның астанасы қандай?"},
    {"zh", "法国的首都是哪里?"},
    {"zh", "写一首关于大海的诗"},
    {"zh", "请用简单的语言解释相对论"},
    {"zh", "你好"},
    {"zh", "用Python写一个快速排序算法"},
    {"zh", "請用繁體中文介紹台灣的夜市"},
    {"ja", "フランスの首都はどこですか?"},
    {"ja", "海についての詩を書いてください"},
    {"ja", "相対性理論を簡単に説明して"},
    {"ja", "こんにちは"},
    {"ja", "Pythonでクイックソートを実装してください"},
    {"ko", "프랑스의 수도는 어디인가요?"},
    {"ko", "바다에 대한 시를 써줘"},
    {"ko", "상대성 이론을 쉽게 설명해 주세요"},
    {"ko", "안녕하세요"},
    {"ar", "ما هي عاصمة فرنسا؟"},
    {"ar", "اكتب قصيدة عن البحر"},
    {"ar", "اشرح لي نظرية النسبية بكلمات بسيطة"},
    {"ar", "مرحبا كيف حالك"},
    {"fa", "پایتخت فرانسه کجاست؟"},
    {"fa", "یک شعر درباره دریا بنویس"},
    {"fa",
     "نظریه نسبیت را به زبان ساده توضیح بده، چگونه کار می‌کند"},
    {"fa", "سلام، حال شما چطور است؟"},
    {"ur", "فرانس کا دارالحکومت کیا ہے؟"},
    {"ur", "سمندر کے بارے میں ایک نظم لکھو"},
    {"he", "מהי בירת צרפת?"},
    {"he", "כתוב שיר על הים"},
    {"he", "הסבר את תורת היחסות במילים פשוטות"},
    {"hi", "फ्रांस की राजधानी क्या है?"},
    {"hi", "समुद्र पर एक कविता लिखो"},
    {"hi", "सापेक्षता का सिद्धांत सरल शब्दों में समझाओ"},
    {"th", "เมืองหลวงของฝรั่งเศสคืออะไร"},
    {"th", "เขียนบทกวีเกี่ยวกับทะเล"},
    {"th", "สวัสดีครับ"},
    {"el", "Ποια είναι η πρωτεύουσα της Γαλλίας;"},
    {"el", "Γράψε ένα ποίημα για τη θάλασσα"},
    {"bn", "ফ্রান্সের রাজধানী কী?"},
    {"ta", "பிரான்சின் தலைநகரம் எது?"},
    {"ka", "რა არის საფრანგეთის დედაქალაქი?"},
    {"hy", "Ո՞րն է Ֆրանսիայի մայրաքաղաքը"},
    {"und", ""},
    {"und", "12345 + 678 = ?"},
    {"und", "😀😀😀"},
    {"und", "asdfgh qwerty"},
    {"und", "x + y = 4 z, x * y = 4 z ^ 2, x - y = ?"},
};

TEST(Language, GuessesShortSentences) {
  int right = 0;
  std::string wrong;
  for (const Sample& sample : kSamples) {
    const std::string_view guess = guess_language(sample.text);
    if (guess == sample.language) {
      ++right;
    } else {
      wrong += std::string(sample.language) + " taken for " + std::string(guess) + ": " + sample.text + "\n";
    }
  }
  EXPECT_EQ(right, static_cast<int>(std::size(kSamples)) - 1) << wrong;  // as language.h says
}

TEST(Language, CodeIsNotRead) {
  EXPECT_EQ(guess_language("Warum geht das nicht?\n```python\nfor this in that: the of and to is are\n```"),
            "de");
  EXPECT_EQ(guess_language("```\nthis is the only text\n```"), "en");
  EXPECT_EQ(guess_language("Was ist der Fehler?\n```python\nthe fence of this is never closed and"), "de");
}

TEST(Language, CutsLongTextsBetweenCharacters) {
  std::string text = "a";  // so that the cut falls inside a character
  for (int i = 0; i < 3000; ++i) text += "你";
  EXPECT_EQ(guess_language(text), "zh");
  EXPECT_EQ(guess_language("\xff\xfe\xc3"), "und");
}

}  // namespace
}  // namespace agon
