"""Messages in every supported language, written for the tests of how a message is read."""

from __future__ import annotations

from pagefault.retrieval.asking import Kind

ASKS = {
    "en": """
        What did I name my boat?
        what's the name of my dentist again
        WHERE DID WE PARK THE CAR
        do you remember my sister's birthday
        Hey Jo, can you remind me when the rent is due? 🙏
        I'm back from the doctor. Which pills did she say I should take?
        Please recommend a film for tonight.
        Thanks! And what about the second one we looked at?
        tell me about the trip to Lisbon
        I forgot what the landlord wanted from us.
        Who won?!
        How was your weekend in the mountains?
        Any tips for a first marathon
        when are the bins collected
        when do ana and sam move in
        what caused the leak in the cellar
        what river flows through the town we visited
        what makes a good sourdough
        who played the doctor in that film
        how and why did we change banks
        during which week was the plumber here
        is the spare key with ana or with sam
        can hedgehogs swim
        would ana like the blue one
        when am i seeing the dentist
        what smells so odd in the garage
        what dog breed did ana adopt
    """,
    "de": """
        Wie heißt mein Zahnarzt?
        wann war nochmal der termin beim notar
        WAS HAT MEINE SCHWESTER GESAGT
        Erinnerst du dich an unser Gespräch über Hamburg?
        Kannst du mir bitte ein Buch empfehlen
        Könnten Sie mir sagen, wo der Schlüssel liegt?
        Ich weiß nicht mehr, wie das Café hieß.
        Erzähl mir von der Reise nach Wien!
        Zeig mir alle Rechnungen vom März
        Danke! Und welche Farbe hatte das Auto? 🚗
        Hat mein Bruder geantwortet?
        Ich suche ein Rezept ohne Milch.
        was verursachte den wasserschaden im keller
        was frisst ein igel
        wie entsteht eigentlich rost
        wie endete das spiel gegen köln
    """,
    "zh": """
        我的牙医叫什么名字？
        我上次去杭州是什么时候
        你還記得我妹妹的生日嗎
        小王昨天说了什么
        請推薦一本小說
        帮我列出所有的会议
        谢谢！那第二家餐厅叫什么？
        我该怎么准备面试
        我忘了房东要什么
        能不能告诉我密码的提示🙏
        哪一家咖啡館比較安靜
        我的 deadline 是哪天
        地下室漏水的原因是什么
        刺猬吃什么
    """,
    "ja": """
        私の歯医者さんの名前は何ですか？
        次の会議はいつだっけ
        妹の誕生日を覚えていますか
        おすすめの映画を教えてください
        鍵をどこに置いたか忘れた
        昨日田中さんは何と言っていましたか
        すみません、住所を教えて 🙏
        来週の予定をまとめて
        なぜ引っ越したの？
        面接の準備はどうすればいいですか
        会議の内容を一覧にして
        パスワードのヒントは何だった？
        新しいコーヒーメーカーはどうやって使うの
        ハリネズミは何を食べる
    """,
    "fr": """
        Comment s'appelle mon dentiste ?
        c'est quand déjà le rendez-vous chez le notaire
        OÙ EST-CE QU'ON A GARÉ LA VOITURE
        Tu te souviens de l'anniversaire de ma sœur ?
        Peux-tu me recommander un livre
        Pourriez-vous me dire où se trouve la clé, s'il vous plaît ?
        Je ne sais plus comment s'appelait le café.
        Raconte-moi le voyage à Lisbonne !
        Merci ! Et la deuxième, elle était de quelle couleur ? 🚗
        Quel film avons-nous vu en mars
        Est-ce que mon frère a répondu
        J'ai oublié ce que voulait le propriétaire.
        quand commence le cours de poterie
        comment fonctionne la machine à café
        comment réparer une chaise
        que mange un hérisson
    """,
    "es": """
        ¿Cómo se llama mi dentista?
        cuándo era la cita con el notario
        DÓNDE DEJAMOS EL COCHE
        ¿Te acuerdas del cumpleaños de mi hermana?
        Puedes recomendarme un libro
        ¿Podría decirme dónde está la llave, por favor?
        No me acuerdo de cómo se llamaba el café.
        ¡Cuéntame el viaje a Lisboa!
        ¡Gracias! ¿Y el segundo de qué color era? 🚗
        que pelicula vimos en marzo
        Ha contestado mi hermano?
        Se me olvidó lo que quería el casero.
        cómo funciona la cafetera nueva
        cómo terminó el partido contra el sevilla
        quién pintó el retrato del pasillo
        cuándo empieza el curso de cerámica
        cuando es la boda de ana
        dónde vivo
    """,
    "it": """
        Come si chiama il mio dentista?
        quando era l'appuntamento dal notaio
        DOVE ABBIAMO PARCHEGGIATO LA MACCHINA
        Ti ricordi il compleanno di mia sorella?
        Puoi consigliarmi un libro
        Potrebbe dirmi dov'è la chiave, per favore?
        Non mi ricordo come si chiamava il bar.
        Raccontami del viaggio a Lisbona!
        Grazie! E la seconda di che colore era? 🚗
        che film abbiamo visto a marzo
        Mio fratello ha risposto?
        Cerco una ricetta senza latte.
        come funziona la nuova macchina del caffè
        come finì la partita contro la roma
        che significa quella parola
        quando inizia il corso di ceramica
        quando parte il treno per lecce
        quando parte l'autobus
    """,
    "pt": """
        Como se chama o meu dentista?
        quando é a consulta com o notário
        ONDE DEIXAMOS O CARRO
        Você se lembra do aniversário da minha irmã?
        Pode me recomendar um livro
        Poderia dizer-me onde está a chave, por favor?
        Não me lembro do nome do café.
        Conta-me a viagem a Lisboa!
        Obrigado! E a segunda, de que cor era? 🚗
        que filme vimos em março
        O meu irmão já respondeu?
        Esqueci o que o senhorio queria.
        quando começa o curso de cerâmica
        quando nasceu a filha da ana
        como funciona a máquina nova
    """,
    "nl": """
        Hoe heet mijn tandarts?
        wanneer was de afspraak bij de notaris ook alweer
        WAAR HEBBEN WE DE AUTO NEERGEZET
        Weet je de verjaardag van mijn zus nog?
        Kun je me een boek aanraden
        Zou u mij kunnen zeggen waar de sleutel ligt?
        Ik weet niet meer hoe het café heette.
        Vertel me over de reis naar Lissabon!
        Bedankt! En welke kleur had de tweede? 🚗
        welke film hebben we in maart gezien
        Heeft mijn broer geantwoord?
        Ik zoek een recept zonder melk.
        wanneer begint de cursus pottenbakken
        wat veroorzaakte de lekkage in de kelder
        wat eet een egel
        hoe ontstaat roest
        hoe schrijf je dat woord
    """,
    "pl": """
        Jak nazywa się mój dentysta?
        kiedy była wizyta u notariusza
        GDZIE ZAPARKOWALIŚMY SAMOCHÓD
        Pamiętasz urodziny mojej siostry?
        Możesz mi polecić książkę
        Czy mógłby pan powiedzieć, gdzie jest klucz?
        Nie pamiętam, jak nazywała się ta kawiarnia.
        Opowiedz mi o podróży do Lizbony!
        Dzięki! A jaki kolor miał ten drugi? 🚗
        jaki film widzieliśmy w marcu
        Czy mój brat odpisał
        Szukam przepisu bez mleka.
        co spowodowało przeciek w piwnicy
        co jedzą jeże
        jak działa nowy ekspres
        kto grał lekarza w tym filmie
        kiedy zaczyna się kurs ceramiki
        jak pisze się to słowo
    """,
    "ru": """
        Как зовут моего стоматолога?
        когда была встреча с нотариусом
        ГДЕ МЫ ОСТАВИЛИ МАШИНУ
        Ты помнишь день рождения моей сестры?
        Можешь посоветовать книгу
        Не могли бы вы сказать, где лежит ключ?
        Я не помню, как называлось то кафе.
        Расскажи мне о поездке в Лиссабон!
        Спасибо! А какого цвета была вторая? 🚗
        какой фильм мы смотрели в марте
        Говорил ли я тебе про новую работу
        Я забыла, что хотел хозяин квартиры.
        что вызвало протечку в подвале
        что едят ежи
        когда родился племянник
        как работает новая кофеварка
        как пишется это слово
        где я живу
    """,
    "tr": """
        Diş hekimimin adı neydi?
        noterle randevu ne zamandı
        ARABAYI NEREYE PARK ETTİK
        Kız kardeşimin doğum gününü hatırlıyor musun?
        Bana bir kitap önerebilir misin
        Anahtarın nerede olduğunu söyler misiniz, lütfen?
        O kafenin adını unuttum.
        Bana Lizbon gezisini anlat!
        Teşekkürler! Peki ikincisi ne renkti? 🚗
        mart ayında hangi filmi izledik
        Kardeşim cevap verdi mi
        Sütsüz bir tarif arıyorum.
        kirpi ne yer
        dün gece ne oldu
        ne yapacağız yarın
    """,
    "ar": """
        ما اسم طبيب أسناني؟
        متى كان موعدي مع المحامي
        أين تركنا السيارة؟
        هل تتذكر عيد ميلاد أختي؟
        هل يمكنك أن توصيني بكتاب
        من فضلك، هل تستطيع أن تخبرني أين المفتاح
        لا أتذكر اسم المقهى.
        أخبرني عن رحلتي إلى لشبونة!
        شكرا! وما لون السيارة الثانية؟ 🚗
        أي فيلم شاهدنا في مارس
        كم دفعنا للمالك
        نسيت ماذا قال صاحب البيت.
        ما الفرق بين الخطتين
        ما لون السيارة الثانية
        من كتب الرسالة الأولى
    """,
    "ko": """
        내 치과 의사 이름이 뭐였지?
        공증인이랑 약속이 언제였지
        우리 차를 어디에 세웠어?
        내 여동생 생일 기억나?
        책 한 권 추천해 줘
        열쇠가 어디 있는지 말씀해 주시겠어요?
        그 카페 이름이 기억이 안 나.
        리스본 여행에 대해 말해 줘!
        고마워! 그럼 두 번째 차는 무슨 색이었어? 🚗
        삼월에 무슨 영화를 봤더라
        동생이 답장했나요
        집주인이 뭘 원했는지 까먹었어.
        고슴도치는 무엇을 먹나
        지하실 누수의 원인이 뭐였지
    """,
    "th": """
        หมอฟันของฉันชื่ออะไร
        นัดกับทนายเมื่อไหร่
        เราจอดรถไว้ที่ไหน?
        จำวันเกิดน้องสาวฉันได้ไหม
        ช่วยแนะนำหนังสือหน่อย
        กรุณาบอกหน่อยครับว่ากุญแจอยู่ที่ไหน
        จำไม่ได้ว่าร้านกาแฟนั้นชื่ออะไร
        เล่าเรื่องทริปลิสบอนให้ฟังหน่อย
        ขอบคุณครับ แล้วคันที่สองสีอะไร 🚗
        เดือนมีนาคมเราดูหนังเรื่องอะไร
        น้องชายตอบกลับมาหรือยัง
        อยากรู้ว่าเจ้าของบ้านต้องการอะไร
        เม่นแคระกินอะไร
        ใครเล่นเป็นหมอในหนังเรื่องนั้น
    """,
}

ASKS_NOTHING = {
    "en": """
        How are you?
        Hi there! How are you doing today?
        Can I help you with that?
        Hey Jo! How's it going today? 😊
        I'm fine, thanks, and you?
        Guess what?
        You know what? I quit my job.
        What a lovely day!
        How nice!
        Thanks so much, that helps a lot.
        It was great, wasn't it?
        When I was young we had a dog.
        I painted the fence, which took all day.
        Really? Wow.
        Did some gardening today.
        OK!!! 👍
        Let me know if you need anything.
        My brother, who lives in Rome, called.
        when I was young I had a red bike
        what a nice day
        what lovely weather we are having
        what great news
        what makes me happy is my dog
        what my brother said hurt me
        what started as a hobby became a job
        who knows
        which is why I left
        in which case I will stay home
        what goes around comes around
        when the rain stops we go out
        would love to see it
        can confirm
        can't wait to see it
        should be fine
        could not agree more
        which i love
        what hurts is that she left
        would if i could
        who would have thought
    """,
    "de": """
        Wie geht es dir?
        Hallo Jo, wie geht's?
        Mir geht es gut, und dir?
        Weißt du was?
        Wie schön!
        Vielen Dank, das hilft mir sehr.
        Das war ein toller Abend, oder?
        Ich habe gestern den Zaun gestrichen.
        Echt? Wahnsinn.
        ALLES KLAR 👍
        Wir haben die Rechnung bezahlt, was lange gedauert hat.
        Guten Morgen!
        was mich freut ist das wetter
        was für ein schöner tag
        was das geld angeht mache ich mir keine sorgen
        wie besprochen komme ich um acht
        wie du weißt bin ich im urlaub
        wie immer
        wer weiß
        wo ich wohne schneit es oft
    """,
    "zh": """
        你好吗？
        最近怎麼樣？
        我很好，你呢？
        你在干嘛呢？
        你知道吗？
        今天天气真好！
        謝謝你，幫了大忙。
        没什么特别的。
        真的吗？太好了。
        我昨天把篱笆刷了一遍。
        请记住我对花生过敏。
        好的👍
        我什么都没买。
        谁知道
        我小时候有一辆红色的自行车
        难怪他走了
    """,
    "ja": """
        お元気ですか？
        こんにちは、調子はどうですか？
        元気です。あなたは？
        本当ですか？すごい。
        最近どう？
        今日はいい天気ですね。
        ありがとうございます！
        昨日は庭の手入れをしました。
        いつも朝に走ります。
        何も買わなかった。
        どうも👍
        映画を見て、泣いてしまいました。
        誰かが来たみたい。
        子供の頃は赤い自転車を持っていた
        いつも遅れてしまう
    """,
    "fr": """
        Comment ça va ?
        Salut Jo, tu vas bien ?
        Je vais bien, et toi ?
        Tu sais quoi ?
        Quelle belle journée !
        Merci beaucoup, ça m'aide énormément.
        C'était une belle soirée, non ?
        J'ai repeint la clôture hier.
        Ah bon ? Incroyable.
        D'ACCORD 👍
        Quand j'étais petit, nous avions un chien.
        Mon frère, qui habite à Rome, a appelé.
        quand j'étais petit j'avais un vélo rouge
        quand le train est arrivé il pleuvait
        quand il fait beau, je marche
        que du bonheur
        comme prévu je viens à huit heures
        qui sait
    """,
    "es": """
        ¿Cómo estás?
        Hola Jo, ¿qué tal?
        Yo bien, ¿y tú?
        ¿Sabes qué?
        ¡Qué bonito!
        Muchas gracias, me ayuda mucho.
        Fue una tarde estupenda, ¿verdad?
        Ayer pinté la valla.
        ¿En serio? Increíble.
        VALE 👍
        Cuando era pequeño teníamos un perro.
        Mi hermano, que vive en Roma, ha llamado.
        cuando era niño tenía una bici roja
        como siempre llego tarde
        como carne todos los días
        qué día tan bonito
        quien sabe
        cuando llega el verano vamos a la playa
        cuando sale el sol, paseo por el parque
        cuando tengo tiempo leo
    """,
    "it": """
        Come stai?
        Ciao Jo, come va?
        Io bene, e tu?
        Sai una cosa?
        Che bello!
        Grazie mille, mi aiuta molto.
        È stata una bella serata, vero?
        Ieri ho dipinto la staccionata.
        Davvero? Incredibile.
        VA BENE 👍
        Quando ero piccolo avevamo un cane.
        Mio fratello, che vive a Roma, ha chiamato.
        quando ero piccolo avevo una bici rossa
        come sempre arrivo tardi
        che bella giornata
        chi lo sa
        quando arriva l'estate andiamo al mare
        quando esce il sole, passeggio nel parco
        quando ho tempo leggo
    """,
    "pt": """
        Como você está?
        Oi Jo, tudo bem?
        Eu estou bem, e você?
        Sabe de uma coisa?
        Que lindo!
        Muito obrigada, isso me ajuda muito.
        Foi uma noite ótima, não foi?
        Ontem pintei a cerca.
        Sério? Incrível.
        TÁ BOM 👍
        Quando eu era pequeno tínhamos um cachorro.
        Meu irmão, que mora em Roma, ligou.
        quando eu era criança tinha uma bicicleta vermelha
        quando o trem chegou, chovia muito
        como sempre chego tarde
        como carne todos os dias
        que dia lindo
        quem sabe
        quando tenho tempo leio
    """,
    "nl": """
        Hoe gaat het?
        Hoi Jo, alles goed?
        Met mij gaat het goed, en met jou?
        Weet je wat?
        Wat leuk!
        Heel erg bedankt, dat helpt me echt.
        Het was een mooie avond, toch?
        Gisteren heb ik het hek geschilderd.
        Echt waar? Ongelooflijk.
        OKÉ 👍
        Toen ik klein was hadden we een hond.
        Mijn broer, die in Rome woont, belde.
        wanneer het regent blijf ik thuis
        wat mij betreft gaan we morgen
        wat leuk
        wat ik bedoel is dat het goed is
        hoe dan ook ga ik mee
        wie weet
    """,
    "pl": """
        Jak się masz?
        Cześć Jo, co słychać?
        U mnie dobrze, a u ciebie?
        Wiesz co?
        Jak miło!
        Dziękuję bardzo, to mi pomaga.
        To był piękny wieczór, prawda?
        Wczoraj pomalowałem płot.
        Naprawdę? Niesamowite.
        DOBRZE 👍
        Kiedy byłem mały, mieliśmy psa.
        Mój brat, który mieszka w Rzymie, dzwonił.
        kiedy byłem mały, miałem czerwony rower
        co roku jeździmy nad morze
        jak zwykle się spóźniłem
        co za dzień
        kto wie
        kiedy pada, zostaję w domu
        kiedy mam czas, czytam
    """,
    "ru": """
        Как дела?
        Привет, Джо, как ты?
        У меня всё хорошо, а у тебя?
        Знаешь что?
        Как здорово!
        Большое спасибо, это мне очень помогло.
        Хороший был вечер, правда?
        Вчера я покрасил забор.
        Правда? Невероятно.
        ХОРОШО 👍
        Когда я был маленьким, у нас была собака.
        Мой брат, который живёт в Риме, звонил.
        когда я был маленьким, у меня был велосипед
        когда начался дождь, мы ушли домой
        что касается денег, я спокоен
        как всегда опоздал
        какой прекрасный день
        кто знает
        когда есть время, читаю
    """,
    "tr": """
        Nasılsın?
        Merhaba Jo, nasıl gidiyor?
        Ben iyiyim, ya sen?
        Biliyor musun?
        Ne güzel!
        Çok teşekkür ederim, çok yardımcı oldu.
        Güzel bir akşamdı, değil mi?
        Dün çiti boyadım.
        Gerçekten mi? İnanılmaz.
        TAMAM 👍
        Küçükken bir köpeğimiz vardı.
        Roma'da yaşayan kardeşim aradı.
        ne güzel bir gün
        kim bilir
        ne zaman yağmur yağsa evde kalırım
        nasıl istersen
    """,
    "ar": """
        كيف حالك؟
        مرحبا يا جو، كيف الحال؟
        أنا بخير، وأنت؟
        هل تعلم ماذا؟
        ما أجمل هذا اليوم!
        شكرا جزيلا، هذا ساعدني كثيرا.
        كانت أمسية رائعة، أليس كذلك؟
        دهنت السياج أمس.
        حقا؟ هذا مذهل.
        حسنا 👍
        عندما كنت صغيرا كان لدينا كلب.
        اتصل أخي الذي يعيش في روما.
        ما أجمل هذا اليوم
        من المدرسة إلى البيت مشيت
        ما زلت في العمل
        متى شئت
    """,
    "ko": """
        잘 지내?
        안녕하세요, 어떻게 지내세요?
        저는 잘 지내요. 당신은요?
        그거 알아?
        날씨가 정말 좋네요!
        정말 고마워요, 큰 도움이 됐어요.
        좋은 저녁이었어, 그렇지?
        어제 울타리를 칠했어.
        정말? 대단하다.
        알겠습니다 👍
        어렸을 때 우리 집에 강아지가 있었어.
        아무것도 안 샀어.
        어렸을 때 빨간 자전거가 있었어
        누가 뭐래도 나는 갈 거야
    """,
    "th": """
        สบายดีไหม
        สวัสดีครับ เป็นยังไงบ้าง
        ฉันสบายดี แล้วคุณล่ะ
        รู้ไหม?
        วันนี้อากาศดีจัง!
        ขอบคุณมากครับ ช่วยได้เยอะเลย
        เมื่อวานฉันทาสีรั้ว
        จริงเหรอ สุดยอดเลย
        โอเคครับ 👍
        ตอนเด็กๆ เราเลี้ยงหมา
        พี่ชายที่อยู่โรมโทรมา
        ไม่ได้ซื้ออะไรเลย
        ตอนเด็กฉันมีจักรยานสีแดง
        อากาศดีจัง
    """,
}

KINDS: dict[Kind, str] = {
    "fact": """
        When did I move to Porto?
        Which restaurant did you recommend?
        How many cats do I have?
        How many days are there between the exam and the trip?
        Wann bin ich umgezogen?
        Welches Buch hast du mir empfohlen?
        我是什么时候搬家的？
        你推荐过哪家餐厅？
        引っ越したのはいつですか？
        Quel livre m'as-tu conseillé ?
        ¿Cuándo me mudé a Oporto?
        Quanti giorni mancano all'esame?
        Quando me mudei para o Porto?
        Welk boek heb je me aangeraden?
        Kiedy przeprowadziłem się do Krakowa?
        Когда я переехал в Казань?
        Hangi kitabı önermiştin?
        متى انتقلت إلى القاهرة؟
        내가 언제 이사했지?
        ฉันย้ายบ้านเมื่อไหร่
    """,
    "order": """
        In what order did I visit the cities?
        Walk me through the sequence of events after the accident.
        a timeline of the kitchen works
        What did I do first, and what came next?
        In welcher Reihenfolge habe ich die Städte besucht?
        Erzähl mir chronologisch, wie der Umbau verlief.
        按时间顺序说说我去过的城市
        我是先去北京還是先去上海，順序是什麼？
        訪れた街を時系列で教えてください
        Dans quel ordre ai-je visité les villes ?
        ¿En qué orden visité las ciudades?
        In che ordine ho visitato le città?
        Em que ordem visitei as cidades?
        In welke volgorde heb ik de steden bezocht?
        W jakiej kolejności odwiedziłem miasta?
        В каком порядке я посетил города?
        Şehirleri hangi sırayla gezdim?
        ما ترتيب المدن التي زرتها؟
        내가 도시들을 방문한 순서를 알려 줘
        ฉันไปเมืองไหนมาบ้างตามลำดับ
    """,
    "list": """
        List all the books I have read.
        Which countries have I been to?
        How many different jobs have I had?
        Nenne mir alle Bücher, die ich gelesen habe.
        Welche Länder habe ich schon besucht?
        列出我读过的书
        我去过哪些国家？
        読んだ本をすべて教えて
        これまでどんな国に行きましたか？
        Liste tous les livres que j'ai lus.
        ¿Qué países he visitado?
        Elenca tutti i libri che ho letto.
        Quais são os livros que eu li?
        Noem alle boeken die ik heb gelezen.
        Wymień wszystkie książki, które przeczytałem.
        Перечисли все книги, которые я прочитал.
        Okuduğum kitapları listele.
        اذكر جميع الكتب التي قرأتها.
        내가 읽은 책 목록을 알려 줘
        ฉันเคยไปประเทศอะไรบ้าง
    """,
    "summary": """
        Summarize the project so far.
        Can you give me an overview of my training?
        How has my opinion of the flat changed over time?
        Fass bitte das Projekt zusammen.
        Wie hat sich mein Training entwickelt?
        总结一下这个项目
        我的訓練怎麼進展的？
        プロジェクトの概要をまとめて
        トレーニングはどのように変わりましたか？
        Résume le projet, s'il te plaît.
        ¿Puedes darme un resumen del proyecto?
        Come è cambiata la mia opinione sulla casa?
        Faça um resumo do projeto.
        Geef me een overzicht van mijn training.
        Podsumuj projekt.
        Подведи итоги проекта.
        Projeyi özetler misin?
        لخص المشروع من فضلك.
        프로젝트를 요약해 줘
        ช่วยสรุปโครงการหน่อย
    """,
    "advice": """
        What should I cook tonight?
        Can you recommend a hotel?
        Any tips for the interview?
        Write me a letter to the landlord.
        Was soll ich heute kochen?
        Kannst du mir ein Hotel empfehlen?
        Schreib mir einen Brief an den Vermieter.
        我今晚該怎麼做飯？
        推荐一家酒店
        今夜は何を作ればいい？
        おすすめのホテルはありますか？
        Que devrais-je cuisiner ce soir ?
        ¿Me recomiendas un hotel?
        Cosa dovrei cucinare stasera?
        O que devo cozinhar hoje?
        Wat moet ik vanavond koken?
        Co powinienem dziś ugotować?
        Что мне приготовить сегодня вечером?
        Bu akşam ne pişirmeliyim?
        ماذا يجب أن أطبخ الليلة؟
        오늘 저녁에 뭘 만들면 좋을까?
        เย็นนี้ทำอะไรกินดี
    """,
}
